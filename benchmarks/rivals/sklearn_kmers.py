"""scikit-learn: k-mers as character n-grams."""

from sklearn.feature_extraction.text import CountVectorizer


def count_kmers(texts, k):
    """Return the CSR counts of a list of str."""
    return CountVectorizer(analyzer="char", ngram_range=(k, k)).fit_transform(texts)
