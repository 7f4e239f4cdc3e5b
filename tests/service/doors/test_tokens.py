"""Tokens: what is accepted, what is not and why, and the files they are kept in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packhorse.scheduler.model.errors import ConfigError
from packhorse.scheduler.model.ids import US, Instant
from packhorse.scheduler.model.job import Owner
from packhorse.scheduler.service.auth import Directory, Role
from packhorse.scheduler.service.failures import CallFailed, Code
from packhorse.scheduler.service.tokens import (
    Tokens,
    agent_token_path,
    bearer,
    load_key,
    write_agent_token,
    write_owner_token,
)

ANN = Owner(1001, 1001, "ann", "users")
NOW = Instant(1_800_000_000 * US)
KEY = b"k" * 32


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KEY, "demo", Directory(("boss",)))


def test_a_token_names_its_bearer(tokens: Tokens) -> None:
    token = tokens.issue(ANN, Role.USER, now=NOW, valid_s=60)
    principal = tokens.check(token, now=NOW)
    assert (principal.owner, principal.role, principal.node) == (ANN, Role.USER, "")
    assert tokens.check(token, now=NOW) is principal  # remembered


def test_a_token_ends(tokens: Tokens) -> None:
    token = tokens.issue(ANN, Role.USER, now=NOW, valid_s=60)
    tokens.check(token, now=NOW)
    with pytest.raises(CallFailed, match="expired"):
        tokens.check(token, now=Instant(NOW + 60 * US))
    with pytest.raises(CallFailed, match="expired"):
        Tokens(KEY, "demo", Directory()).check(token, now=Instant(NOW + 61 * US))


def test_the_role_is_an_upper_bound(tokens: Tokens) -> None:
    boss = Owner(1005, 1005, "boss", "users")
    assert tokens.check(tokens.issue(boss, Role.ADMIN, now=NOW, valid_s=60), now=NOW).admin
    assert not tokens.check(tokens.issue(ANN, Role.ADMIN, now=NOW, valid_s=60), now=NOW).admin
    assert not tokens.check(tokens.issue(boss, Role.USER, now=NOW, valid_s=60), now=NOW).admin


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "é.é.é", "eyJhbGciOiJub25lIn0.e30."])
def test_what_was_not_signed_here(tokens: Tokens, text: str) -> None:
    with pytest.raises(CallFailed, match="not one this cluster signed") as caught:
        tokens.check(text, now=NOW)
    assert caught.value.code is Code.UNAUTHENTICATED


def test_another_key_or_cluster(tokens: Tokens) -> None:
    other_key = Tokens(b"x" * 32, "demo", Directory()).issue(ANN, Role.USER, now=NOW, valid_s=60)
    with pytest.raises(CallFailed, match="signed"):
        tokens.check(other_key, now=NOW)
    other_cluster = Tokens(KEY, "far", Directory()).issue(ANN, Role.USER, now=NOW, valid_s=60)
    with pytest.raises(CallFailed, match='for cluster "far"'):
        tokens.check(other_cluster, now=NOW)


def test_an_altered_token(tokens: Tokens) -> None:
    head, _, signature = tokens.issue(ANN, Role.USER, now=NOW, valid_s=60).split(".")
    _, body, _ = tokens.issue(ANN, Role.ADMIN, now=NOW, valid_s=60).split(".")
    with pytest.raises(CallFailed, match="signed"):
        tokens.check(f"{head}.{body}.{signature}", now=NOW)


def test_an_agent_must_have_a_node(tokens: Tokens) -> None:
    with pytest.raises(CallFailed, match="name its node"):
        tokens.check(tokens.issue(ANN, Role.AGENT, now=NOW, valid_s=60), now=NOW)
    principal = tokens.check(tokens.issue(ANN, Role.AGENT, now=NOW, valid_s=60, node="n1"), now=NOW)
    assert (principal.role, principal.node) == (Role.AGENT, "n1")


@pytest.mark.parametrize("header", [None, "", "Basic abc", "Bearer", "Bearer  "])
def test_headers_without_a_token(header: str | None) -> None:
    with pytest.raises(CallFailed) as caught:
        bearer(header)
    assert caught.value.code is Code.UNAUTHENTICATED


def test_the_key_is_made_once_and_private(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    key = load_key(secrets)
    assert load_key(secrets) == key
    assert len(key) == 32
    assert (secrets / "token.key").stat().st_mode & 0o777 == 0o600
    (secrets / "token.key").chmod(0o640)
    with pytest.raises(ConfigError, match="0640"):
        load_key(secrets)
    (secrets / "token.key").chmod(0o600)
    (secrets / "token.key").write_bytes(b"short")
    with pytest.raises(ConfigError, match="5 bytes"):
        load_key(secrets)


def test_the_homes_own_tokens(tmp_path: Path) -> None:
    owner_file = write_owner_token(tmp_path, "demo", now=NOW)
    agent_file = write_agent_token(tmp_path, "demo", "n1", now=NOW)
    assert agent_file == agent_token_path(tmp_path, "n1")
    assert [path.stat().st_mode & 0o777 for path in (owner_file, agent_file)] == [0o600, 0o600]
    tokens = Tokens(load_key(tmp_path), "demo", Directory())
    owner = tokens.check(owner_file.read_text().strip(), now=NOW)
    assert (owner.owner.uid, owner.admin) == (os.geteuid(), True)
    assert tokens.check(agent_file.read_text().strip(), now=NOW).node == "n1"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_node_names_that_are_no_file_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        write_agent_token(tmp_path, "demo", name, now=NOW)
