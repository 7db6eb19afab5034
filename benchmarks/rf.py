"""Random forest on means of 2 x 2 pixels, in sixteen levels of grey (scikit-learn)."""

from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline

from mnistbench.estimators.preprocessing import BlockMeans, QuantizePixels


def build(seed, threads, image_shape, trees=60, bootstrap=False, levels=16):
    # Few levels make ties, which the trees sort faster. With so few columns a split, trees that all see
    # every image differ enough, and each errs less than one that sees a bootstrap sample.
    forest = RandomForestClassifier(trees, bootstrap=bootstrap, n_jobs=threads, random_state=seed)
    return make_pipeline(BlockMeans(image_shape), QuantizePixels(levels=levels), forest)
