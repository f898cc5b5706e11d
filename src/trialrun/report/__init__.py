"""Tables, listings, figures and the documents that hold them."""
