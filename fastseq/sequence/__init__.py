"""What a sequence is: codes, k-mers, shuffles, features, edits, alleles, motifs. No torch here."""
