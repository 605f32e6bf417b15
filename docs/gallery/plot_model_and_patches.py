"""
Which layer fits which patch?
=============================

A network of the package and simulated patches ML, AL and AM, on twelve rendered faces in five views. Your own network
takes the place of ``load_model``: ``compute_model_rdms`` takes any ``torch.nn.Module``.
"""

# %%
# Stimuli and recording
# ---------------------
# The packaged sample; yours come from ``neural_data.read_stimuli`` and ``neural_data.read_recording``.

import numpy as np

import neural_data.samples
from neurocompare import compute_model_rdms, compute_neural_rdms, infer_fits, load_model

stimuli, recording = neural_data.samples.load()
stimuli.table.head()

# %%
# RDMs
# ----
# One RDM per layer of a network that was trained on mirror-symmetric objects, and one per patch. Raw correlation on
# both sides (``normalize=None``), as in eLife 90256.

network = load_model("cnn-small", weights="pretrained", regime="symmetric")
model_rdms = compute_model_rdms(network, stimuli, normalize=None)
neural_rdms = compute_neural_rdms(recording, stimuli=stimuli)

# %%
# Fits, with intervals for new faces and new neurons
# --------------------------------------------------
# The summary says per patch whether any layer agrees with it about faces, beyond what all populations tuned to view
# share, and the noise ceiling, which bounds the fit of a true model.

rng = np.random.default_rng(1)
fits = infer_fits(model_rdms, neural_rdms, recording=recording, n_draws=200, rng=rng)
print(fits)

# %%
# Gray: the noise ceiling. Squares: layers that are not told from the best. Twelve identities are few.

fits.plot()

# %%
# The table has a row per layer and patch.

fits.to_frame()[["layer", "region", "fit", "ci_low", "ci_high", "p_identity_adjusted"]].round(3).head(8)
