"""Bearer tokens for the doors on TCP: HS256 JWTs signed with a key that stays in PACKHORSE_HOME/secrets.

Claims: sub (uid), gid, user, group, role (user, admin or agent), node (agents only), iat, exp, iss (the
cluster's name). A token's role is an upper bound: a user who is no administrator any more does not stay one
by an old token.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packhorse.scheduler.model.errors import ConfigError
from packhorse.scheduler.model.ids import US, Instant, is_node_name
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service.auth import Directory, Principal, Role, owner_of
from packhorse.scheduler.service.failures import CallFailed, Code

if TYPE_CHECKING:
    from joserfc.jwk import OctKey

KEY_FILE = "token.key"
OWNER_TOKEN_FILE = "owner.token"
KEY_BYTES = 32
LONG_LIVED_S = 10 * 365 * 24 * 3600
"""Of the tokens in the home's own secrets folder: whoever reads that folder could sign others anyway."""

USER_TOKEN = "X-SLURM-USER-TOKEN"

_CACHE_LIMIT = 4096


def load_key(secrets_dir: Path) -> bytes:
    """The signing key of this home, made (0600) on first use.

    Raises ConfigError for a key others can read or one that is too short.
    """
    path = secrets_dir / KEY_FILE
    secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigError(f"{path}: mode {mode:04o}, others can read the signing key; chmod 600 it")
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise ConfigError(f"{path}: {len(key)} bytes, {KEY_BYTES} needed; remove it to have a new one made")
    return key


class Tokens:
    """Signs and checks tokens of one cluster. Checked tokens are remembered until they expire."""

    def __init__(self, key: bytes, cluster: str, directory: Directory) -> None:
        self._secret = key
        self._cluster = cluster
        self._directory = directory
        self._jwk: OctKey | None = None
        self._checked: dict[str, tuple[Instant, Principal]] = {}

    def issue(self, owner: Owner, role: Role, *, now: Instant, valid_s: int, node: str = "") -> str:
        """A token for `owner` that ends valid_s after now."""
        from joserfc import jwt  # 30 ms of imports that a scheduler without callers over TCP never needs

        issued = now // US
        claims: dict[str, Any] = {
            "iss": self._cluster,
            "sub": str(owner.uid),
            "gid": owner.gid,
            "user": owner.user,
            "group": owner.group,
            "role": role.value,
            "iat": issued,
            "exp": issued + valid_s,
        }
        if node:
            claims["node"] = node
        return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, self._key())

    def check(self, token: str, *, now: Instant) -> Principal:
        """The caller this token names; raises CallFailed(UNAUTHENTICATED) with the reason."""
        known = self._checked.get(token)
        if known is not None and now < known[0]:
            return known[1]
        expires_at, principal = self._verify(token, now)
        if len(self._checked) >= _CACHE_LIMIT:
            self._checked.clear()
        self._checked[token] = (expires_at, principal)
        return principal

    def _verify(self, token: str, now: Instant) -> tuple[Instant, Principal]:
        from joserfc import jwt
        from joserfc.errors import JoseError

        try:
            claims = jwt.decode(token, self._key(), algorithms=["HS256"]).claims
        except (JoseError, ValueError) as error:
            raise _rejected("it is not one this cluster signed") from error
        try:
            owner = Owner(
                int(claims["sub"]), int(claims["gid"]), str(claims["user"]), str(claims.get("group", ""))
            )
            role = Role(claims["role"])
            expires_at = Instant(int(claims["exp"]) * US)
            issuer, node = str(claims["iss"]), str(claims.get("node", ""))
        except (KeyError, TypeError, ValueError) as error:
            raise _rejected(f"claim {error} is missing or malformed") from error
        if issuer != self._cluster:
            raise _rejected(f'it is for cluster "{issuer}", this is "{self._cluster}"')
        if now >= expires_at:
            raise _rejected("it has expired; get a new one (packhorse token, or a local call of IssueToken)")
        if role is Role.AGENT and not node:
            raise _rejected("an agent's token must name its node")
        if role is Role.ADMIN and not self._directory.is_admin(owner):
            role = Role.USER
        return expires_at, Principal(owner, role, node)

    def _key(self) -> OctKey:
        if self._jwk is None:
            from joserfc.jwk import OctKey

            self._jwk = OctKey.import_key(self._secret)
        return self._jwk


def presented(headers: Mapping[str, str]) -> str:
    """The token that a request brings: as a bearer token, or as Slurm's clients do.

    Raises CallFailed(UNAUTHENTICATED) where there is none.
    """
    slurms = headers.get(USER_TOKEN, "").strip()
    if slurms and "Authorization" not in headers:
        return slurms
    return bearer(headers.get("Authorization"))


def bearer(header: str | None) -> str:
    """The token of an `Authorization` header; raises CallFailed(UNAUTHENTICATED) where there is none."""
    if not header:
        raise _rejected("there is none; send `Authorization: Bearer TOKEN`, or call over the Unix socket")
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _rejected(f'"{scheme}" is not a bearer token; send `Authorization: Bearer TOKEN`')
    return token.strip()


def write_owner_token(secrets_dir: Path, cluster: str, *, now: Instant) -> Path:
    """Writes secrets/owner.token (0600): the cluster's owner, the user who runs this, as administrator."""
    owner = owner_of(os.geteuid(), os.getegid())
    tokens = Tokens(load_key(secrets_dir), cluster, Directory())
    text = tokens.issue(owner, Role.ADMIN, now=now, valid_s=LONG_LIVED_S)
    return _write_secret(secrets_dir / OWNER_TOKEN_FILE, text)


def write_agent_token(secrets_dir: Path, cluster: str, node: str, *, now: Instant) -> Path:
    """Writes secrets/agent-NODE.token (0600) for the agent of `node`."""
    owner = owner_of(os.geteuid(), os.getegid())
    tokens = Tokens(load_key(secrets_dir), cluster, Directory())
    text = tokens.issue(owner, Role.AGENT, now=now, valid_s=LONG_LIVED_S, node=node)
    return _write_secret(agent_token_path(secrets_dir, node), text)


def agent_token_path(secrets_dir: Path, node: str) -> Path:
    """Where the token of a node's agent is kept; raises ConfigError for a name that is no file name."""
    if not is_node_name(node):
        raise ConfigError(f'node name "{node}": letters, digits, "-", "_" and "." only, not first a "."')
    return secrets_dir / f"agent-{node}.token"


def _write_secret(path: Path, text: str) -> Path:
    """Replaces the file at once: a reader sees the old token or the new one."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return path


def _rejected(why: str) -> CallFailed:
    return CallFailed(Code.UNAUTHENTICATED, f"token not accepted: {why}")
