"""Tools that try rules out: cases, comparisons of two versions, unused and suspicious rules. They stand on the stages."""
