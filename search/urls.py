"""URLs that may hold a password, which nobody shall read in a message, a file or a log."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus


@dataclass(frozen=True, slots=True)
class HiddenURL:
    """A URL as its driver needs it, and as people may see it."""

    text: str = field(repr=False)
    """With its password: for the driver's ears only."""
    shown: str
    """The same with every secret replaced."""
    secrets: tuple[str, ...] = field(repr=False, default=())
    """In every spelling that an error of a driver may have them, longest first."""

    def __str__(self) -> str:
        return self.shown

    def scrubbed(self, message: str) -> str:
        """A message without what must not be shown."""
        message = message.replace(self.text, self.shown)
        for secret in self.secrets:
            message = message.replace(secret, "***")
        return message


def spellings(secrets: list[str]) -> tuple[str, ...]:
    """Secrets as they are, and as URLs write them; longest first, so that none is cut in two."""
    spelled = {
        form
        for s in secrets
        if s
        for form in (s, quote(s, safe=""), quote_plus(s), unquote(s), unquote_plus(s))
    }
    return tuple(sorted(spelled, key=len, reverse=True))


def place_url(text: str) -> HiddenURL:
    """The URL of a folder as fsspec takes it, with all that may be a secret hidden.

    That is the password of `scheme://user:password@host/path`, and every value behind a `?`: tokens
    and signatures of object stores stand there.
    """
    # Not by `urlsplit`, which ends the login at a slash: secrets of object stores have some, and
    # what stands behind would be shown.
    scheme, _, rest = text.partition("://")
    login, at, place = rest.rpartition("@")
    user, colon, password = login.partition(":")
    if not colon:
        at, place, password = "", rest, ""
    path, mark, query = place.partition("?")
    secrets = [password, query, *(value for _, value in parse_qsl(query))]
    shown = f"{scheme}://{f'{user}:***@' if at else ''}{path}{'?***' if mark else ''}"
    return HiddenURL(text, shown, spellings(secrets))


def is_url(text: str) -> bool:
    """Whether a text is meant as a URL, and not as a path."""
    return "://" in text
