"""What the report says about its own numbers."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.evaluation.results import Result


def spread_words(results: Sequence[Result]) -> str:
    """What stands below the values of the tables."""
    said = []
    if len({result.seed for result in results}) > 1:
        said.append("Values are means over seeds; ± is the standard deviation over seeds.")
    else:
        intervals = {
            (f"{100 * result.figures.confidence:g} %", result.figures.resamples)
            for result in results
            if result.figures.resamples
        }
        said += [
            f"Below a value: {confidence} bootstrap interval over test images, {resamples} resamples."
            for confidence, resamples in sorted(intervals)
        ]
    return " ".join([*said, "A mean over categories is given to methods that have them all."])


HOW_MEASURED = (
    (
        "AUC-sPRO",
        "Area under the curve of saturated per-region overlap over the false positive rate, up to the named limit and "
        "divided by it. A defect counts as fully found when its saturation area is found, so that large defects need "
        "not be painted exactly. The false positive rate pools all pixels free of defects of all test images. Anomaly "
        "maps are brought to the size of the image; the area is exact, not sampled.",
    ),
    (
        "Image AUROC and AP",
        "Of raw image scores, good against defective images. No score is scaled by its own image or by test data.",
    ),
    ("Pixel AUROC", "Of all pixels of the test images, those of any annotated defect against all others."),
    (
        "TPR at a TNR",
        "The threshold is the smallest score that lets the wished share of normal validation images pass. These were "
        "neither trained on nor taken from the test set, so the TNR on the test can differ from the wish.",
    ),
    (
        "Intervals",
        "Percentile bootstrap over images, stratified by good and by folder of defects; validation images are drawn "
        "again too. They tell what other images of the same kind would change, not what another training would.",
    ),
    (
        "Fairness",
        "Figures of each group's pictures alone. Distances are those of patches of normal pictures, neither trained on "
        "nor tested, to their nearest bank row. TPR and FPR are at thresholds that all groups have in common. The gap "
        "is the largest value less the smallest; its interval is wide enough for any two of the groups at once, so it "
        "holds 0 where chance alone could part them. Rates of few pictures have wide intervals; other figures of fewer "
        "than five good or five defective pictures have none. Jain's index is near 1 for any similar values.",
    ),
    (
        "Comparison",
        "A category is one observation; seeds of it are averaged first. Paired t-test and Wilcoxon signed-rank test, "
        "corrected by Holm for the number of methods, not for the number of figures.",
    ),
    (
        "Trade-off",
        "Unbeaten (Pareto-optimal): no other method is at least as good in every column and better in one, at the "
        "digits shown. What was not measured of one may be anything, so its standing can be unknown. Methods for which "
        "all pictures lie in one place are there for reference.",
    ),
    ("Marks", "The largest value of a column at the three decimals that are shown; methods that tie are all marked."),
    (
        "Gallery",
        "Missed defects and false alarms: furthest on the wrong side of the image threshold first. Found and passed: "
        "closest to it first. The colour of a raw score s at the pixel threshold t is that of s / (s + t).",
    ),
)
"""Term and explanation."""
