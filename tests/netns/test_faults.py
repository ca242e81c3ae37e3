# SPDX-License-Identifier: GPL-2.0-or-later
import pytest
def test_up(storage):
    storage.up()
