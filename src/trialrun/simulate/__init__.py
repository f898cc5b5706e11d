"""Virtual subjects: population, streams of luck, pharmacology, disease, conduct imperfections."""
