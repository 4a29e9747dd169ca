"""Banks in messages, taken apart and put together by other means than the code under test."""

from collections import defaultdict

from flwr.app import ConfigRecord

from anomalib_federated import messages

SIZE = 4 << 20


def pieces_of(files):
    """The records of any bytes, given per category."""
    cut = [(name, data[at : at + SIZE]) for name, data in files.items() for at in range(0, max(len(data), 1), SIZE)]
    return {
        f"bank.{number:06d}": ConfigRecord({"category": name, "data": data}) for number, (name, data) in enumerate(cut)
    }


def files_in(content):
    """Per category, the bytes that a message carries."""
    files = defaultdict(bytes)
    for name in sorted(content):
        if name.startswith("bank."):
            files[content[name]["category"]] += content[name]["data"]
    return dict(files)


def without_bank(content):
    """The message, after its bank was taken out."""
    for name in [name for name in content if name.startswith("bank.")]:
        del content[name]
    return content


def with_bank(content, bank):
    """The message, with this bank in place of its own."""
    without_bank(content).update(messages.bank_records(bank))
    return content
