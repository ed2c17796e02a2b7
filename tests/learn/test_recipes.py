"""A recipe holds only what can be trained."""

import numpy as np
import pytest

from fastseq.errors import OptionError
from fastseq.learn.recipes import RECIPES, Recipe, recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0}, "lr=0"),
        ({"lr": -1.0}, "lr=-1.0; expected a number of 0 or more"),
        ({"lr": np.nan}, "lr=nan"),
        ({"lr": "high"}, "lr='high'"),
        ({"epochs": "x"}, "epochs='x'; expected a whole number of 1 or more"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"patience": -1}, "patience=-1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"weight_decay": np.inf}, "weight_decay=inf"),
        ({"clip": -1}, "clip=-1"),
    ],
)
def test_fields_that_cannot_be_are_refused(change, message):
    with pytest.raises(OptionError, match=message):
        recipe("default", **change)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_its_own_fields_back(name):
    fields = recipe(name).to_dict()
    assert recipe(name, batch_size=np.int64(fields["batch_size"]), epochs=30).epochs == 30
    assert isinstance(recipe(name), Recipe)
