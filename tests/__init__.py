"""The suite: it mirrors appliance/, and a test's name is the sentence that it shows."""
