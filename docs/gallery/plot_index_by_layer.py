"""
Where does a network become mirror-symmetric?
=============================================

The mirror-symmetric viewpoint tuning index is 1 if left and right views of an exemplar evoke the same responses, and
below 0 if responses follow the view (eLife 90256, equation 1).
"""

# %%
# View RDMs
# ---------
# ``within="identity"`` gives one RDM of the views of each exemplar, per layer; units are z-scored.

import matplotlib.pyplot as plt
import pandas as pd

import neural_data.samples
from neurocompare import (
    compute_model_rdms,
    compute_neural_rdms,
    load_model,
    mirror_symmetry_table,
    plot_index,
    plot_rdms,
)

stimuli, recording = neural_data.samples.load()
networks = {
    "symmetric": load_model("cnn-small", weights="pretrained", regime="symmetric"),
    "untrained": load_model("cnn-small", seed=0),
}
views = {regime: compute_model_rdms(network, stimuli, within="identity") for regime, network in networks.items()}

# %%
# The index by layer
# ------------------
# Mean over the twelve faces with its 95 % interval, after training on mirror-symmetric objects and before.

table = pd.concat([mirror_symmetry_table(rdms) for rdms in views.values()])
plot_index(table)

# %%
# What the index sees: RDMs of the five views, averaged over the faces, in two layers.

print(table[table["layer"].isin(["conv4", "fc3"])][["regime", "layer", "index", "ci_low", "ci_high", "n"]].round(2))
figure, axes = plt.subplots(1, 2, figsize=(5, 2.4), layout="constrained")
for panel, layer in zip(axes, ("conv4", "fc3"), strict=True):
    plot_rdms(views["symmetric"].subset("layer", layer).mean(), names=[layer], ax=panel)

# %%
# Patches
# -------
# The same index of the recorded (here simulated) patches.

plot_index(compute_neural_rdms(recording, within="identity", stimuli=stimuli))
