"""Who may come in. `password` holds the shop's password, which any of its devices may log in with."""
