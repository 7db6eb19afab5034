"""The named data sets: where each comes from, what proves it, how it is read, what its classes are called."""

import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mnistbench.datasets.arrays import Arrays
from mnistbench.datasets.decoders import (
    idx_or_npz,
    libsvm,
    medmnist,
    mnist_c,
    qmnist,
    single_arrays,
    zipped_idx,
)
from mnistbench.datasets.digits import load_digits
from mnistbench.datasets.download import Mirror


@dataclass(frozen=True)
class Named:
    """One data set."""

    name: str  # its name on the command line
    title: str  # its name in reports
    licence: str  # the data's licence, or that none is stated
    citation: str  # the work to cite
    people: str  # whose hands or scans the images are from: data sets with the same may share them
    train_count: int
    test_count: int
    class_count: int
    read: Callable[[Path], Arrays]  # reads the arrays from a folder with the files of one mirror
    mirrors: tuple[Mirror, ...] = ()  # public, in the order to try them; none for what a library brings
    image_shape: tuple[int, int] = (28, 28)  # (height, width)
    class_names: tuple[str, ...] = ()  # in the order of their labels; empty where labels are digits
    validation_count: int = 0  # number of last training images that the data set itself holds out; 0 for none
    # The published SHA-256 of each plain IDX file, if any.
    decoded: Mapping[str, str] = field(default_factory=dict)
    arrays_sha256: str | None = None  # `Arrays.sha256` if known; else that of the first fetch is kept
    writers: Mirror | None = None  # files beside the images that tell who wrote each, of QMNIST's form
    groups_sha256: str | None = None  # `Arrays.groups_sha256` of these
    group_noun: str = "group"  # what a group of images is
    strata: tuple[str, ...] = ()  # the names of the groups' strata
    origin: str = ""  # where the images are from if not from a mirror
    largest_file_bytes: int = 64 << 20  # the largest file that is accepted from a mirror
    kept_in: str = ""  # cache folder of the downloaded files, which data sets may share; empty: not kept


_NIST = "writers of NIST"
_STRATA = ("employees", "students")
_USUAL = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def _usual(*hashes: str) -> dict[str, str]:
    """Return the hashes of the usual four files by their names."""
    return dict(zip(_USUAL, hashes, strict=True))


_MNIST_FILES = _usual(
    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
)
_QMNIST_LABELS = {
    "qmnist-train-labels-idx2-int.gz": "2c05dc77f6b916b38e455e97ab129a42a444f3dbef09b278a366f82904e0dd9f",
    "qmnist-test-labels-idx2-int.gz": "9fbcbe594c3766fdf4f0b15c5165dc0d1e57ac604e01422608bb72c906030d06",
}
_QMNIST = Mirror(
    "https://raw.githubusercontent.com/facebookresearch/qmnist/master/",
    {
        "qmnist-train-images-idx3-ubyte.gz": "md5:ed72d4157d28c017586c42bc6afe6370",
        "qmnist-test-images-idx3-ubyte.gz": "md5:1394631089c404de565df7b7aeaf9412",
        **_QMNIST_LABELS,
    },
)

MNIST = Named(
    name="mnist",
    title="MNIST",
    licence="CC BY-SA 3.0",
    citation="LeCun et al. 1998, Gradient-based learning applied to document recognition",
    people=_NIST,
    train_count=60_000,
    test_count=10_000,
    class_count=10,
    read=idx_or_npz,
    mirrors=(
        Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/", _MNIST_FILES),
        Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/", _MNIST_FILES),
        Mirror(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            {"mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"},
        ),
    ),
    decoded={
        "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    arrays_sha256="7cd417484108fcd3fb4afd803abb813ab5227eb017ffede532fdbb151fff1d2d",
    # Yadav and Bottou 2019, "Cold case: the lost MNIST digits", traced each image to its writer.
    writers=Mirror(_QMNIST.url, _QMNIST_LABELS),
    groups_sha256="5f7c61af9651080be6728bd835c212981ef6a69b9a77471d042b448b1e635e91",
    group_noun="writer",
    strata=_STRATA,
)

_DIGITS = Named(
    name="digits",
    title="scikit-learn digits, scaled to 28x28",
    licence="CC BY 4.0",
    citation="Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, doi:10.24432/C50P49",
    people="writers of the UCI digits",
    train_count=1_297,
    test_count=500,
    class_count=10,
    read=load_digits,
    arrays_sha256="8e50cc095df7c0642df473a94511c5a3be2abc44cd3d6b0e5604acc66ce03bcd",
    origin="embedded in scikit-learn",
)

_FASHION = Named(
    name="fashion-mnist",
    title="Fashion-MNIST",
    licence="MIT",
    citation="Xiao, Rasul and Vollgraf 2017, Fashion-MNIST, arXiv:1708.07747",
    people="Zalando's photographs",
    train_count=60_000,
    test_count=10_000,
    class_count=10,
    read=idx_or_npz,
    mirrors=(
        Mirror(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            _usual(
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
    ),
    class_names=(
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
        "ankle boot",
    ),
    decoded={
        "x_train": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "y_train": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "x_test": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "y_test": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    arrays_sha256="250dc01a9b6e1cfbbd0369a29e8abbbbeae37b9961c284ddd9fd75b6e1232c0d",
)  # fmt: skip

_KMNIST = Named(
    name="kmnist",
    title="Kuzushiji-MNIST",
    licence="CC BY-SA 4.0",
    citation="Clanuwat et al. 2018, Deep Learning for Classical Japanese Literature, arXiv:1812.01718",
    people="classical Japanese books",
    train_count=60_000,
    test_count=10_000,
    class_count=10,
    read=idx_or_npz,
    mirrors=(
        Mirror(
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            _usual(
                "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
            ),
        ),
    ),
    class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
)
_K49_FILES = tuple(f"k49-{part}-{kind}.npz" for part in ("train", "test") for kind in ("imgs", "labels"))
_K49 = replace(
    _KMNIST,
    name="kuzushiji-49",
    title="Kuzushiji-49",
    train_count=232_365,
    test_count=38_547,
    class_count=49,
    read=partial(single_arrays, files=_K49_FILES),
    mirrors=(Mirror("http://codh.rois.ac.jp/kmnist/dataset/k49/", dict.fromkeys(_K49_FILES)),),
    class_names=(
        "a", "i", "u", "e", "o", "ka", "ki", "ku", "ke", "ko", "sa", "shi", "su", "se", "so", "ta",
        "chi", "tsu", "te", "to", "na", "ni", "nu", "ne", "no", "ha", "hi", "fu", "he", "ho", "ma",
        "mi", "mu", "me", "mo", "ya", "yu", "yo", "ra", "ri", "ru", "re", "ro", "wa", "wi", "we",
        "wo", "n", "iteration",
    ),
    largest_file_bytes=128 << 20,
)  # fmt: skip

_CHARACTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_MERGED = "cijklmopsuvwxyz"  # lower-case letters that look like their capitals


def _emnist(split: str, train_count: int, test_count: int, class_names: str) -> Named:
    return Named(
        name=f"emnist-{split}",
        title=f"EMNIST {split}",
        licence="not stated",
        citation="Cohen, Afshar, Tapson and van Schaik 2017, EMNIST: Extending MNIST to handwritten letters",
        people=_NIST,
        train_count=train_count,
        test_count=test_count,
        class_count=len(class_names),
        read=partial(zipped_idx, archive="gzip.zip", members=f"gzip/emnist-{split}-"),
        mirrors=(
            Mirror(
                "https://biometrics.nist.gov/cs_links/EMNIST/",
                {"gzip.zip": "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"},
            ),
        ),
        class_names=tuple(class_names) if class_names != string.digits else (),
        largest_file_bytes=600 << 20,
        kept_in="emnist-download",
    )


_UNMERGED = "".join(character for character in _CHARACTERS if character not in _MERGED)
_EMNIST = (
    _emnist("balanced", 112_800, 18_800, _UNMERGED),
    _emnist("letters", 124_800, 20_800, string.ascii_lowercase),
    _emnist("digits", 240_000, 40_000, string.digits),
    _emnist("byclass", 697_932, 116_323, _CHARACTERS),
    _emnist("bymerge", 697_932, 116_323, _UNMERGED),
)


def _qmnist(name: str, title: str, test_count: int, *, lost_only: bool) -> Named:
    return Named(
        name=name,
        title=title,
        licence="BSD-style",
        citation="Yadav and Bottou 2019, Cold case: the lost MNIST digits, arXiv:1905.10498",
        people=_NIST,
        train_count=60_000,
        test_count=test_count,
        class_count=10,
        read=partial(qmnist, lost_only=lost_only),
        mirrors=(_QMNIST,),
        group_noun="writer",
        strata=_STRATA,
    )


_USPS_FILES = {
    "usps.bz2": "md5:ec16c51db3855ca6c91edd34d0e9b197",
    "usps.t.bz2": "md5:8ea070ee2aca1ac39742fdd1ef5ed118",
}
_USPS = Named(
    name="usps",
    title="USPS",
    licence="not stated",
    citation="Hull 1994, A database for handwritten text recognition research",
    people="envelopes of the US Postal Service",
    train_count=7_291,
    test_count=2_007,
    class_count=10,
    image_shape=(16, 16),
    read=partial(libsvm, files=tuple(_USPS_FILES), image_shape=(16, 16)),
    mirrors=(Mirror("https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/", _USPS_FILES),),
    class_names=tuple(string.digits),  # its labels are 1 to 10
)


def _medmnist(title: str, md5: str, counts: tuple[int, int, int], class_names: tuple[str, ...]) -> Named:
    train_count, validation_count, test_count = counts
    name = title.lower()
    return Named(
        name=name,
        title=title,
        licence="CC BY 4.0",
        citation="Yang et al. 2023, MedMNIST v2, doi:10.1038/s41597-022-01721-8",
        people="patients of LiTS" if class_names == _ORGANS else f"patients of {title}",
        train_count=train_count + validation_count,
        test_count=test_count,
        class_count=len(class_names),
        read=partial(medmnist, file=f"{name}.npz"),
        mirrors=(
            Mirror(
                "https://zenodo.org/records/10519652/files/", {f"{name}.npz": f"md5:{md5}"}, "?download=1"
            ),
        ),
        class_names=class_names,
        validation_count=validation_count,
        largest_file_bytes=256 << 20,
    )


_ORGANS = (
    "bladder", "left femur", "right femur", "heart", "left kidney", "right kidney", "liver", "left lung",
    "right lung", "pancreas", "spleen",
)  # fmt: skip
_MEDMNIST = (
    _medmnist(
        "PneumoniaMNIST", "28209eda62fecd6e6a2d98b1501bb15f", (4_708, 524, 624), ("normal", "pneumonia")
    ),
    _medmnist(
        "BreastMNIST", "750601b1f35ba3300ea97c75c52ff8f6", (546, 78, 156), ("malignant", "normal or benign")
    ),
    _medmnist(
        "OCTMNIST",
        "c68d92d5b585d8d81f7112f81e2d0842",
        (97_477, 10_832, 1_000),
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    ),
    _medmnist("OrganAMNIST", "68e3f8846a6bd62f0c9bf841c0d9eacc", (34_561, 6_491, 17_778), _ORGANS),
    _medmnist("OrganCMNIST", "b9ceb9546e10131b32923c5bbeaea2b1", (12_975, 2_392, 8_216), _ORGANS),
    _medmnist("OrganSMNIST", "9ab87b696fb54e2a387ebe992d6ed5f1", (13_932, 2_452, 8_827), _ORGANS),
    _medmnist(
        "TissueMNIST",
        "ebe78ee8b05294063de985d821c1c34b",
        (165_466, 23_640, 47_280),
        (
            "collecting duct, connecting tubule",
            "distal convoluted tubule",
            "glomerular endothelial cells",
            "interstitial endothelial cells",
            "leukocytes",
            "podocytes",
            "proximal tubule segments",
            "thick ascending limb",
        ),
    ),
)  # fmt: skip

_MNIST_C_KINDS = (
    "identity", "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate",
    "brightness", "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges",
)  # fmt: skip
_MNIST_C = Named(
    name="mnist-c",
    title="MNIST-C",
    licence="see Zenodo",
    citation="Mu and Gilmer 2019, MNIST-C: A robustness benchmark for computer vision, arXiv:1906.02337",
    people=_NIST,
    train_count=60_000,
    test_count=150_000,
    class_count=10,
    read=partial(mnist_c, archive="mnist_c.zip", kinds=_MNIST_C_KINDS),
    mirrors=(
        Mirror(
            "https://zenodo.org/record/3239543/files/",
            {"mnist_c.zip": "af9ee8c6a815870c7fdde5af84c7bf8db0bcfa1f41056db83871037fba70e493"},
        ),
    ),
    group_noun="image",
    strata=tuple(kind.replace("_", " ") for kind in _MNIST_C_KINDS),
    largest_file_bytes=300 << 20,
)

NAMED: Mapping[str, Named] = {
    named.name: named
    for named in (
        MNIST,
        _DIGITS,
        _FASHION,
        _KMNIST,
        _K49,
        *_EMNIST,
        _qmnist("qmnist", "QMNIST", 60_000, lost_only=False),
        _qmnist("qmnist-lost", "QMNIST's lost test images", 50_000, lost_only=True),
        _USPS,
        *_MEDMNIST,
        _MNIST_C,
    )
}
"""Every named data set by its name, in the order to list them."""
