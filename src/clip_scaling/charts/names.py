"""Names that a chart shows for the identifiers of tables."""

NAMES = {
    "imagenet1k": "ImageNet",
    "imagenetv2": "ImageNet-V2",
    "imagenet-a": "ImageNet-A",
    "imagenet-r": "ImageNet-R",
    "imagenet_sketch": "ImageNet Sketch",
    "imagenet_robustness": "ImageNet robustness",
    "objectnet": "ObjectNet",
    "mscoco_captions": "MS-COCO",
    "flickr30k": "Flickr30K",
    "vtab": "VTAB",
    "vtab+": "VTAB+",
    "cars": "Stanford Cars",
    "country211": "Country211",
    "fer2013": "FER2013",
    "fgvc_aircraft": "FGVC Aircraft",
    "gtsrb": "GTSRB",
    "mnist": "MNIST",
    "renderedsst2": "Rendered SST2",
    "stl10": "STL-10",
    "sun397": "SUN397",
    "voc2007": "VOC2007",
    "voc2007_multilabel": "VOC2007 multi-label",
    "vtab/cifar10": "CIFAR-10 (VTAB)",
    "vtab/cifar100": "CIFAR-100 (VTAB)",
    "vtab/dtd": "DTD (VTAB)",
    "vtab/eurosat": "EuroSAT (VTAB)",
    "vtab/pcam": "PCam (VTAB)",
    "vtab/resisc45": "RESISC45 (VTAB)",
    "vtab/svhn": "SVHN (VTAB)",
    "acc1": "top-1",
    "mean_average_precision": "mAP",
    "image_retrieval_recall@5": "image Recall@5",
    "text_retrieval_recall@5": "text Recall@5",
    "binned_front": "power law, binned front",
    "power": "power law",
    "power_floor": "power law with a floor",
    "three_variable": "three variables",
    "three_variable_floor": "three variables with a floor",
    "three_variable_no_repetition": "three variables, repeats as new",
    "three_variable_product": "three variables, product",
    "bootstrap_expanded_percentile": "bootstrap, expanded percentiles",
    "bootstrap_t": "bootstrap-t",
    "t": "Student's t",
}


def readable(name: str) -> str:
    """An identifier as text; one that NAMES lacks loses its underscores, and VTAB's prefix goes behind."""
    if name in NAMES:
        return NAMES[name]
    task, _, rest = name.partition("/")
    return f"{rest.replace('_', ' ')} (VTAB)" if task == "vtab" else name.replace("_", " ")


def measured(dataset: str, metric: str) -> str:
    """Set and metric; top-1 accuracy, the metric of most sets, goes without saying."""
    return readable(dataset) if metric == "acc1" else f"{readable(dataset)}, {readable(metric)}"
