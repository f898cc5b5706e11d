"""Models of drug and disease as modules of equations, and the compiler that makes one kernel of them."""
