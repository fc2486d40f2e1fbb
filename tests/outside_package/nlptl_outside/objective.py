"""An objective of pre-training: masked LM at a low rate."""

from dataclasses import replace

from nlptl.pretraining.objectives import MASKED_LM

GENTLE_MASKED_LM = replace(MASKED_LM, defaults={**MASKED_LM.defaults, "learning_rate": 1e-6})
