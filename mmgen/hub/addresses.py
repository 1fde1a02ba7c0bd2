"""Which addresses may be asked over the network; nothing else is ever connected to.

Only https, only hosts whose every address is public, and the connection goes to the
address that was checked, so that a name cannot change its mind in between (DNS
rebinding). A mirror in one's own network must be called private on purpose; then
that one host may have a private address and plain http, and no other.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

from mmgen.errors import RequestError

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,62})(\.[a-z0-9-]{1,63})*", re.ASCII)
_NUMBER = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*", re.ASCII)
_CARRIERS = (
    ipaddress.ip_network("64:ff9b::/96"),  # NAT64: an IPv4 address in the last 32 bits
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("2002::/16"),  # 6to4
    ipaddress.ip_network("2001::/32"),  # Teredo
    ipaddress.ip_network("fec0::/10"),  # site-local, given up but still routed in places
)


class AddressRefused(RequestError):
    code = "address.refused"
    template = (
        "{url} is not asked ({reason}); give an https address of a public host, or say"
        " --private for a mirror in your own network"
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """What may be asked in one errand."""

    hosts: tuple[str, ...]
    """Hosts, and with a leading dot all hosts below them."""
    private: str = ""
    """The one host that may have a private address and speak plain http."""

    def check(self, url: str) -> SplitResult:
        """The parts of `url`; raises `AddressRefused`. Nothing is looked up."""
        parts = _split(url)
        host = _host(url, parts)
        is_own = host == self.private
        if parts.scheme != "https" and not (is_own and parts.scheme == "http"):
            _refuse(url, "not https")
        if not is_own and not any(_covers(known, host) for known in self.hosts):
            _refuse(url, "a host that this errand does not need")
        if not is_own and is_number(host):
            _refuse(url, "an address instead of a name")
        return parts

    def resolve(self, host: str, port: int) -> str:
        """An address of `host` that may be connected to; raises `AddressRefused`."""
        own = host.strip("[]").lower() == self.private
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise OSError(f"{host} is not known to the name service") from error
        addresses = [str(entry[4][0]).partition("%")[0] for entry in found]
        if not own and not all(is_public(address) for address in addresses):
            _refuse(host, "it has an address that is not public")
        return addresses[0]


def is_number(host: str) -> bool:
    """Whether `host` is an address in any of the ways that programs read one."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(_NUMBER.fullmatch(host))
    return True


def is_public(address: str) -> bool:
    """Whether everybody may reach `address`: not local, private, reserved or a carrier of one."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(known, "ipv4_mapped", None)
    if mapped is not None:
        return is_public(str(mapped))
    is_carrier = any(known in network for network in _CARRIERS if network.version == known.version)
    return known.is_global and not known.is_multicast and not is_carrier


def host_of(url: str) -> str:
    """The host of an endpoint, lower case; raises `AddressRefused`."""
    return _host(url, _split(url))


def guarded_backend(rules: Rules, connect: Callable[..., Any]) -> Any:
    """A network backend for httpcore that connects only where `rules` allow.

    `connect`: (address, port, timeout, local address, socket options) -> stream.
    """
    from httpcore2 import NetworkBackend

    class Guarded(NetworkBackend):
        def connect_tcp(
            self,
            host: str,
            port: int,
            timeout: float | None = None,
            local_address: str | None = None,
            socket_options: Iterable[Any] | None = None,
        ) -> Any:
            address = rules.resolve(host, port)
            return connect(address, port, timeout, local_address, socket_options)

        def connect_unix_socket(self, *_: Any, **__: Any) -> Any:
            raise OSError("no local sockets")

    return Guarded()


def _split(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        _refuse(url, "unusual characters")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        _refuse(url, "not an address")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        _refuse(url, "a name or password in it")
    return parts


def _host(url: str, parts: SplitResult) -> str:
    host = (parts.hostname or "").lower()
    if not host:
        _refuse(url, "no host")
    if not is_number(host) and not _HOST.fullmatch(host):
        _refuse(url, "not a host name")
    return host


def _covers(known: str, host: str) -> bool:
    return host == known or (known.startswith(".") and host.endswith(known))


def _refuse(url: str, reason: str) -> NoReturn:
    raise AddressRefused(url=url[:200].encode("ascii", "replace").decode(), reason=reason)
