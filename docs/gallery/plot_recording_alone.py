"""
What does a recording say by itself?
====================================

View tuning, reliability and how much more data is needed, without any model.
"""

# %%
# In words
# --------

import matplotlib.pyplot as plt

import neural_data.samples
from neurocompare import compute_neural_rdms, describe_recording, plot_rdms

stimuli, recording = neural_data.samples.load()
found = describe_recording(recording, stimuli, n_splits=20)
print(found.to_text())

# %%
# In numbers
# ----------
# One row per patch; ``found.neurons`` has one per neuron, ``found.growth`` the reliability of smaller recordings.

found.patches.T

# %%
# Would more neurons help?
# ------------------------
# Reliability of the RDM over neurons: points measured on parts of the recording, lines predicted (Spearman-Brown).

figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
growth = found.growth[found.growth["over"] == "neurons"]
for region, rows in growth.groupby("region"):
    (line,) = axes.plot(rows["n"], rows["predicted"], linewidth=0.8)
    axes.plot(rows["n"], rows["measured"], ".", color=line.get_color(), label=region)
axes.axhline(0.8, color="black", linestyle="--", linewidth=0.8)
axes.set(xscale="log", xlabel="neurons", ylabel="reliability of the RDM")
axes.legend()

# %%
# The geometry: stimuli are sorted by view, and within a view by identity.

plot_rdms(compute_neural_rdms(recording, stimuli=stimuli))
