"""The kernel of the maximum mean discrepancy (MMD), of which there is one for training and for diagnostics.

    k(x, y) = mean over the squared widths w of exp(−‖x − y‖² / (2 w d)),     x and y of d entries

Divided by d, the squared distance between independent points of unit variance is about 2, however many entries they
have. Of several widths, so that one of them sees a difference on whatever scale it is.

The summary loss computes it in TensorFlow, inside the compiled updates (`inference/mmd.py`), and the check for
misspecification in NumPy, since diagnostics load no TensorFlow (`diagnostics/misspecification.py`): what the one draws
together, the other finds apart.
"""

SQUARED_WIDTHS = (0.25, 1.0, 4.0, 16.0, 64.0)
