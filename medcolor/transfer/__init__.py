"""From votes to colours: a model of the whole body, the looks, equation 1, opacity."""
