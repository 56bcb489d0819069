"""All of torch that learns and scores; what needs no torch (recipe, history, scores) says so."""
