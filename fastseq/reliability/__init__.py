"""Can the explanations be trusted: k-mer KLD, signal to noise, length weights."""
