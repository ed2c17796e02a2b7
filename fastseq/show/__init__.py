"""Pictures and reports; they take results and look at nothing above them."""
