"""What an account number says, and how much of it is shown: the one place that decides either."""

_SHOWN = 2


def masked(account: str) -> str:
    """An account number as a log or a message may show it: `DU*****67`; one of four letters or fewer not at all."""
    if len(account) <= 2 * _SHOWN:
        return "*" * len(account)
    return f"{account[:_SHOWN]}{'*' * (len(account) - 2 * _SHOWN)}{account[-_SHOWN:]}"


def is_paper_account(account: str) -> bool:
    """Whether Interactive Brokers gave the account for practice: those begin with D (DU, and DF, DI of advisors)."""
    return account.startswith("D")
