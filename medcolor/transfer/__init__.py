"""From votes to colours: agreement of references, coherence along z, equation 1, opacity."""
