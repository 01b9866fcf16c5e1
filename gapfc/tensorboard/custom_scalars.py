"""The CUSTOM SCALARS tab: one chart per question, one line per run, with heads side by side."""

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.util.tensor_util import make_tensor_proto

# TIME SERIES sorts its sections by tag: accuracy first, pictures ("visual/…") last.
ACCURACY, VAL_ACCURACY, LOSS, VAL_LOSS = (
    # The second is what runs of before called it.
    f"({new}|{old})"
    for new, old in (
        ("accuracy/train", "train/accuracy"),
        ("accuracy/val", "val/accuracy"),
        ("loss/train", "train/loss"),
        ("loss/val", "val/loss"),
    )
)
# Section -> title of a chart -> regular expressions of tags.
CHARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "Heads side by side": {
        "validation accuracy": (VAL_ACCURACY,),
        "validation loss": (VAL_LOSS,),
        "training loss": (LOSS,),
        "training accuracy": (ACCURACY,),
    },
    "Overfitting": {
        "accuracy: training and validation": (ACCURACY, VAL_ACCURACY),
        "loss: training and validation": (LOSS, VAL_LOSS),
    },
    "What the head does to the backbone": {
        "gradient norm of the backbone": ("gradient/backbone",),
        "gradient norm of the head": ("gradient/head",),
        "relative weight change of the backbone": ("drift/backbone",),
        "relative weight change of the head": ("drift/head",),
    },
    "Optimisation": {
        "learning rate": ("optimizer/lr",),
        "images per second": ("speed/images_per_second",),
    },
}


def layout_summary() -> Summary:
    """The layout, the same for every run: TensorBoard merges those of all runs by title."""
    layout = layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title=category,
                chart=[
                    layout_pb2.Chart(
                        title=title,
                        # The plugin reads regular expressions.
                        multiline=layout_pb2.MultilineChartContent(tag=[f"^{t}$" for t in tags]),
                    )
                    for title, tags in charts.items()
                ],
            )
            for category, charts in CHARTS.items()
        ]
    )
    return summary_of(layout)


def summary_of(layout: layout_pb2.Layout) -> Summary:
    """A layout as written to events."""
    value = Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG,
        metadata=metadata.create_summary_metadata(),
        tensor=make_tensor_proto(layout.SerializeToString()),
    )
    return Summary(value=[value])
