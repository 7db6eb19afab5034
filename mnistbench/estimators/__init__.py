"""What a model file may import: neural networks, image transformers and boosted trees, as estimators."""
