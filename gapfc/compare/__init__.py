"""From run directories to an answer with its uncertainty. Never imports torch.

    collect -> groups (mixtures, choose) -> row (statistics) -> answer (notes, confounds) -> output

`gapfc.cli.commands.compare` strings these together; `Comparison` is what all the outputs are drawn
from, so that the table, the JSON file and the pictures cannot disagree.
"""
