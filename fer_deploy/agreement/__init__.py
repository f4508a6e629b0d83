"""How well results agree with the codes of people: kappa, recall, confusion."""
