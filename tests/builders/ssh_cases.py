"""ssh configs and known_hosts files as people have them, to be read as OpenSSH reads them.

`<name>` is put in by the test: `<port>` of the machine, `<gate>` of another, `<home>`, `<keys>`, `<key>` of the host in
known_hosts' form and `<rsa>`, `<ecdsa>`; `<name>` is how known_hosts calls the machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MACHINE = "Host machine\n  HostName 127.0.0.1\n  Port <port>\n  User root\n"
"""The usual block; `<good>` logs in."""
LOGIN = MACHINE + "  IdentityFile <keys>/good\n"
KNOWN = "<name> <key>\n"
AUTHORITY = "@cert-authority * <authority>\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a user has, and asks for."""

    config: str = LOGIN
    known: str | None = KNOWN
    """~/.ssh/known_hosts; none is no file."""
    files: dict[str, str] = field(default_factory=dict)
    """Further files, from the home directory on."""
    modes: dict[str, int] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """File in the home directory → name of the key it is a copy of."""
    agent: str | None = None
    """The agent in SSH_AUTH_SOCK: `full`, `stray` or `locked`."""
    policy: str | None = "strict"
    """ssh.host_keys of the cluster file; ssh gets it as StrictHostKeyChecking."""
    address: str = "machine"
    offers: bool = True
    """False where ssh's offers differ, as it asks of a key before it opens its file, or are of several machines."""


CONFIGS = {
    "a block with everything": Case(),
    "the distribution's own": Case(
        config="Include conf.d/*.conf\n" + LOGIN,
        files={".ssh/conf.d/50-distro.conf": "Match final all\n    GSSAPIAuthentication yes\n"},
    ),
    "included in order of names": Case(
        config="Include conf.d/*.conf\nHost machine\n  Port 1\n" + LOGIN,
        files={".ssh/conf.d/b.conf": "Host *\n Port 2\n", ".ssh/conf.d/a.conf": "Host mach*\n Port <port>\n"},
    ),
    "included by ~, by a whole path and by none": Case(
        config='Include ~/.ssh/one "<home>/two files" nothing*\n' + LOGIN,
        files={".ssh/one": "Host machine\n  IdentityFile <keys>/stray\n", "two files": "IdentityFile <keys>/other\n"},
    ),
    "included into a block of another host": Case(
        config="Host other\n  Include more\n" + LOGIN, files={".ssh/more": "Host machine\n  Port 1\n"}
    ),
    "included into its block": Case(
        config="Host machine\n  Include more\n" + LOGIN, files={".ssh/more": "Port <port>\n"}
    ),
    "included twice deep": Case(
        config="Include a\n" + LOGIN, files={".ssh/a": "Include ~/.ssh/b\n", ".ssh/b": "IdentityFile ~/.ssh/c\n"}
    ),
    "Match host by pattern": Case(config="Match host=127.0.0.*\n  User root\n" + LOGIN.replace("User", "#User")),
    "Match originalhost": Case(config='Match originalhost "mach*,!other"\n  IdentityFile <keys>/good\n' + MACHINE),
    "Match user": Case(config="Match user root\n  IdentityFile <keys>/good\nMatch user admin\n  Port 1\n" + MACHINE),
    "Match localuser": Case(config="Match localuser root\n  IdentityFile <keys>/good\n" + MACHINE),
    "Match exec": Case(
        config='Match exec "test %n = machine"\n  IdentityFile <keys>/good\nMatch exec false\n  Port 1\n' + MACHINE
    ),
    "Match negated": Case(config="Match !host other !exec false\n  IdentityFile <keys>/good\n" + MACHINE),
    "Match canonical": Case(config="Match canonical\n  Port 1\n" + LOGIN),
    "Match canonical, which happens": Case(
        config="CanonicalizeHostname always\nMatch canonical host 127.0.0.1\n  IdentityFile <keys>/good\n" + MACHINE
    ),
    "Host with a pattern and a negated one": Case(config="Host * !machine\n  Port 1\nHost mach?ne\n" + LOGIN),
    "what is said first": Case(config="Host machine\n  IdentityFile <keys>/stray\n  Port <port>\nPort 1\n" + LOGIN),
    "signs of equality, quotes, comments, tabs and carriage returns": Case(
        config='# mine\r\n\n  HOST="machine" # here\r\n\thostname = 127.0.0.1\r\nPort=<port> # a\n'
        '\tIdentityFile\t"<keys>/good" # b\n   #Port 1\n'
    ),
    "a word of another system": Case(config="IgnoreUnknown UseKeychain,Add*\nUseKeychain yes\nAddFoo 1\n" + LOGIN),
    "a word that this ssh no longer needs": Case(config="Protocol 2\nRhostsRSAAuthentication no\n" + LOGIN),
    "tokens": Case(
        config=MACHINE + "  IdentityFile ~/.ssh/%n-%h-%p-%r-%u-%i-%%\n  IdentityFile %d/id-%k\n",
        links={".ssh/machine-127.0.0.1-<port>-root-root-0-%": "stray", "id-machine": "good"},
    ),
    "tokens of this computer": Case(
        config=MACHINE + "  IdentityFile ~/%C\n  IdentityFile ~/%l-%L\n", links={"<hash>": "stray", "<local>": "good"}
    ),
    "a variable": Case(config=MACHINE + "  IdentityFile ${SPARKQFS_KEYS}/good\n"),
    "a key file with a space": Case(config=MACHINE + '  IdentityFile "~/my key"\n', links={"my key": "good"}),
    "a key file that is not there": Case(
        config=MACHINE + "  IdentityFile ~/.ssh/id_none\n  IdentityFile <keys>/stray\n  IdentityFile <keys>/good\n"
    ),
    "a key file that is a directory": Case(config=MACHINE + "  IdentityFile ~/.ssh\n  IdentityFile <keys>/good\n"),
    "a key file that is no key": Case(
        config=MACHINE + "  IdentityFile ~/.ssh/text\n  IdentityFile <keys>/good\n",
        files={".ssh/text": "hello\n"},
        modes={".ssh/text": 0o600},
    ),
    "a key file that others may read": Case(
        config=MACHINE + "  IdentityFile ~/open\n", links={"open": "good"}, modes={"open": 0o644}, offers=False
    ),
    "a key file with a passphrase": Case(
        config=MACHINE + "  IdentityFile <keys>/locked\n  IdentityFile <keys>/good\n", offers=False
    ),
    "a key file with a passphrase, and it is in the agent": Case(
        config=MACHINE + "  IdentityFile <keys>/locked\n", agent="locked"
    ),
    "a key file of an older form": Case(config=MACHINE + "  IdentityFile ~/old\n", links={"old": "pem"}, offers=False),
    "a key file in PKCS#8": Case(config=MACHINE + "  IdentityFile ~/new\n", links={"new": "pkcs8"}, offers=False),
    "a key file in PKCS#8, of ECDSA": Case(
        config=MACHINE + "  IdentityFile ~/new\n", links={"new": "pkcs8-ecdsa"}, offers=False
    ),
    "a key file whose type is not accepted, as is seen when it is read": Case(
        config=MACHINE + "  IdentityFile ~/new\n  PubkeyAcceptedAlgorithms -ecdsa*\n",
        links={"new": "pkcs8-ecdsa"},
        offers=False,
    ),
    "a key file whose halves differ": Case(
        config=MACHINE + "  IdentityFile ~/halves\n  IdentityFile <keys>/good\n",
        links={"halves": "halves"},
        offers=False,
    ),
    "IdentityFile none": Case(config=MACHINE + "  IdentityFile none\n", agent="full"),
    "IdentityFile none without an agent": Case(config=MACHINE + "  IdentityFile none\n"),
    "no IdentityFile": Case(config=MACHINE, links={".ssh/id_rsa": "stray", ".ssh/id_ed25519": "good"}),
    "no IdentityFile and no key": Case(config=MACHINE),
    "the agent's keys before files": Case(config=MACHINE + "  IdentityFile <keys>/other\n", agent="full"),
    "the agent's keys that are listed before its others": Case(
        config=MACHINE + "  IdentityFile <keys>/other\n  IdentityFile <keys>/good\n", agent="full"
    ),
    "IdentitiesOnly": Case(
        config=MACHINE + "  IdentitiesOnly yes\n  IdentityFile <keys>/other\n  IdentityFile <keys>/good\n", agent="full"
    ),
    "IdentitiesOnly with a public key of the agent's": Case(
        config=MACHINE + "  IdentitiesOnly yes\n  IdentityFile ~/chosen.pub\n",
        links={"chosen.pub": "good.pub"},
        agent="full",
    ),
    "IdentitiesOnly without the key": Case(
        config=MACHINE + "  IdentitiesOnly yes\n  IdentityFile <keys>/other\n", agent="full"
    ),
    "IdentityAgent by its socket": Case(config=MACHINE + "  IdentityAgent <agents>/full\n"),
    "IdentityAgent by a token": Case(config=MACHINE + '  IdentityAgent "<agents>/%k-%r"\n'),
    "IdentityAgent none": Case(config=MACHINE + "  IdentityAgent none\n", agent="full"),
    "IdentityAgent by a variable": Case(config=MACHINE + "  IdentityAgent $SPARKQFS_AGENT\n"),
    "IdentityAgent SSH_AUTH_SOCK": Case(config=MACHINE + "  IdentityAgent SSH_AUTH_SOCK\n", agent="full"),
    "IdentityAgent that is not there": Case(config=LOGIN + "  IdentityAgent ~/none\n", agent="full"),
    "CertificateFile": Case(
        config=MACHINE + "  CertificateFile ~/given.pub\n  IdentityFile <keys>/signed\n",
        links={"given.pub": "signed-cert.pub"},
    ),
    "CertificateFile without its key": Case(
        config=LOGIN + "  CertificateFile ~/given.pub\n", links={"given.pub": "signed-cert.pub"}, offers=False
    ),
    "a certificate beside the key": Case(
        config=MACHINE + "  IdentityFile ~/mine\n", links={"mine": "signed", "mine-cert.pub": "signed-cert.pub"}
    ),
    "a certificate in the agent": Case(config=MACHINE + "  IdentityFile none\n", agent="signed"),
    "a certificate in the agent, of RSA": Case(config=MACHINE + "  IdentityFile none\n", agent="signed-rsa"),
    "CertificateFile whose key is in the agent": Case(
        config=MACHINE + "  CertificateFile ~/given.pub\n  IdentityFile none\n",
        links={"given.pub": "signed-cert.pub"},
        agent="bare",
    ),
    "a certificate beside the key, which is in the agent alone": Case(
        config=MACHINE + "  IdentityFile ~/mine\n",
        links={"mine.pub": "signed.pub", "mine-cert.pub": "signed-cert.pub"},
        agent="bare",
    ),
    "a certificate beside the key, which is in the agent alone, and IdentitiesOnly": Case(
        config=MACHINE + "  IdentitiesOnly yes\n  IdentityFile ~/mine\n",
        links={"mine.pub": "signed.pub", "mine-cert.pub": "signed-cert.pub"},
        agent="bare",
    ),
    "CertificateFile whose key is in the agent and is not listed, and IdentitiesOnly": Case(
        config=MACHINE + "  IdentitiesOnly yes\n  CertificateFile ~/given.pub\n  IdentityFile none\n",
        links={"given.pub": "signed-cert.pub"},
        agent="bare",
        offers=False,
    ),
    "an empty certificate beside the key": Case(
        config=MACHINE + "  IdentityFile ~/mine\n", links={"mine": "good"}, files={"mine-cert.pub": ""}, offers=False
    ),
    "a damaged certificate beside the key": Case(
        config=MACHINE + "  IdentityFile ~/mine\n",
        links={"mine": "good"},
        files={"mine-cert.pub": "ssh-ed25519-cert-v01@openssh.com AAAAIHNz a\n"},
    ),
    "a certificate beside the key that ends too soon": Case(
        config=MACHINE + "  IdentityFile ~/mine\n",
        links={"mine": "good"},
        files={"mine-cert.pub": "<half-certificate>\n"},
    ),
    "a key beside the key in place of its certificate": Case(
        config=MACHINE + "  IdentityFile ~/mine\n", links={"mine": "good", "mine-cert.pub": "stray.pub"}
    ),
    "a damaged CertificateFile": Case(
        config=LOGIN + "  CertificateFile ~/given.pub\n", files={"given.pub": "<half-certificate>\n"}
    ),
    "a key file with a curve that ssh has not": Case(
        config=MACHINE + "  IdentityFile ~/curve\n  IdentityFile <keys>/good\n", links={"curve": "curve"}
    ),
    "PubkeyAuthentication no": Case(config=LOGIN + "  PubkeyAuthentication no\n"),
    "PreferredAuthentications without keys": Case(config=LOGIN + "  PreferredAuthentications password\n"),
    "PubkeyAcceptedAlgorithms": Case(
        config=LOGIN + "  IdentityFile <keys>/rsa\n  PubkeyAcceptedAlgorithms rsa-sha2-512\n"
    ),
    "ProxyJump": Case(
        config=LOGIN + "  ProxyJump gate\nHost gate\n  HostName 127.0.0.1\n  Port <gate>\n  IdentityFile <keys>/good\n",
        known=KNOWN + "<gate-name> <gate-key>\n",
        offers=False,
    ),
    "ProxyJump with user and port": Case(
        config=LOGIN + "  ProxyJump root@127.0.0.1:<gate>\nHost 127.0.0.1\n  IdentityFile <keys>/good\n",
        known=KNOWN + "<gate-name> <gate-key>\n",
        offers=False,
    ),
    "ProxyJump of two": Case(
        config="UpdateHostKeys no\n"
        + LOGIN
        + "  ProxyJump gate,second\nHost gate second\n  HostName 127.0.0.1\n  IdentityFile <keys>/good\n"
        "Host gate\n  Port <gate>\nHost second\n  Port <port>\n",
        known=KNOWN + "<gate-name> <gate-key>\n",
        offers=False,
    ),
    "ProxyJump with tokens": Case(
        config="UpdateHostKeys no\n"
        + LOGIN
        + "  ProxyJump gate-%n,%r@second-%h\nHost gate-machine second-127.0.0.1\n  HostName 127.0.0.1\n"
        "  IdentityFile <keys>/good\nHost gate-machine\n  Port <gate>\nHost second-127.0.0.1\n  Port <port>\n",
        known=KNOWN + "<gate-name> <gate-key>\n",
        offers=False,
    ),
    "ProxyJump with a percent sign": Case(
        config=LOGIN + "  ProxyJump gate%%\nHost gate%\n  HostName 127.0.0.1\n  Port <gate>\n"
        "  IdentityFile <keys>/good\n",
        known=KNOWN + "<gate-name> <gate-key>\n",
        offers=False,
    ),
    "a jump host with a jump host": Case(
        config="UpdateHostKeys no\n"
        + LOGIN
        + "  ProxyJump second\nHost gate second\n  HostName 127.0.0.1\n  IdentityFile <keys>/good\n"
        "Host gate\n  Port <gate>\nHost second\n  Port <port>\n  ProxyJump gate\n",
        known=KNOWN + "<gate-name> <gate-key>\n",
        offers=False,
    ),
    "ProxyJump none": Case(config="Host machine\n  ProxyJump none\n" + LOGIN + "Host *\n  ProxyJump gate\n"),
    "ProxyCommand": Case(
        config=LOGIN + "  ProxyCommand <python> '<home>/relay.py' %h \"%p\" 2>/dev/null\n",
        files={"relay.py": "<relay>"},
        offers=False,
    ),
    "ProxyCommand that is not there": Case(config=LOGIN + "  ProxyCommand no-such-program %h %p\n", offers=False),
    "ProxyUseFdpass": Case(
        config=LOGIN + "  ProxyUseFdpass yes\n  ProxyCommand <python> <home>/pass.py %h %p\n",
        files={"pass.py": "<pass>"},
        offers=False,
    ),
    "AddressFamily and BindAddress": Case(config=LOGIN + "  AddressFamily inet\n  BindAddress 127.0.0.1\n"),
    "AddressFamily that the machine has not": Case(config=LOGIN + "  AddressFamily inet6\n"),
    "a password's machine": Case(config=LOGIN.replace("good", "stray") + "  NumberOfPasswordPrompts 1\n"),
    "too many keys": Case(
        config=MACHINE.replace("<port>", "<gate>") + "  IdentityFile <keys>/stray\n  IdentityFile <keys>/other\n"
        "  IdentityFile <keys>/good\n",
        known="<gate-name> <gate-key>\n",
    ),
}

KNOWN_HOSTS = {
    "no file, new keys accepted": Case(known=None, policy="accept-new"),
    "no file, strict": Case(known=None),
    "carriage returns, tabs, comments and lines of nothing": Case(known="# a\r\n\n\t <name>\t<key>  a comment\r\n"),
    "several names": Case(known="other,<name>,192.0.2.1 <key>\n"),
    "a name in capitals": Case(config=LOGIN.replace("127.0.0.1", "LocalHost"), known="[LOCALHOST]:<port> <key>\n"),
    "a pattern": Case(known="[127.0.?.*]:* <key>\n"),
    "a pattern without brackets": Case(known="127.0.0.* <key>\n"),
    "a name that is excluded": Case(known="*,!<name>,!127.0.0.1 <key>\n"),
    "a name that only another line excludes": Case(known="*,!<name> <rsa>\n<name> <key>\n"),
    "a hashed name": Case(known="|1|damaged|x <key>\n<hashed> <key>\n"),
    "a hashed name of another": Case(known="<hashed-other> <key>\n"),
    "two keys of one type": Case(known="<name> <stray>\n<name> <key>\n"),
    "the same, the other way round": Case(known="<name> <key>\n<name> <stray>\n"),
    "another key": Case(known="<name> <stray>\n"),
    "another key, new ones accepted": Case(known="<name> <stray>\n", policy="accept-new"),
    "only its RSA key": Case(known="<name> <rsa>\n"),
    "only its ECDSA key": Case(known="<name> <ecdsa>\n"),
    "another key of a type that the machine does not show first": Case(known="<name> <stray-rsa>\n"),
    "the key at port 22": Case(known="127.0.0.1 <key>\n"),
    "an authority at port 22": Case(known="@cert-authority 127.0.0.1 <authority>\n"),
    "an authority at port 22 that is revoked there": Case(
        known="@cert-authority 127.0.0.1 <authority>\n@revoked 127.0.0.1 <authority>\n", policy="accept-new"
    ),
    "an authority at port 22, by an alias": Case(
        config=LOGIN + "  HostKeyAlias node.lab\n  Port <port>\n", known="@cert-authority 127.0.0.1 <authority>\n"
    ),
    "another key at port 22": Case(known="127.0.0.1 <stray>\n", policy="accept-new"),
    "revoked": Case(known="@revoked <name> <key>\n", policy="accept-new"),
    "revoked and known": Case(known="<name> <key>\n@revoked * <key>\n"),
    "a certificate that is revoked": Case(known="@revoked <name> <certificate>\n<name> <key>\n"),
    "a certificate in place of the key": Case(known="<name> <certificate>\n"),
    "a certificate in place of the key, new ones accepted": Case(known="<name> <certificate>\n", policy="accept-new"),
    "a certificate in place of an authority": Case(known="@cert-authority <name> <certificate>\n"),
    "revoked for others": Case(known="@revoked *.lan <key>\n<name> <key>\n"),
    "an authority": Case(known=AUTHORITY),
    "an authority for others": Case(known="@cert-authority *.lan <authority>\n"),
    "another authority": Case(known="@cert-authority * <stray>\n"),
    "another authority and the key": Case(known="@cert-authority * <stray>\n<name> <key>\n"),
    "an authority that is revoked": Case(known="@cert-authority * <authority>\n@revoked * <authority>\n"),
    "an authority and another key": Case(known="@cert-authority * <authority>\n<name> <stray>\n"),
    "an authority, by a name that the certificate lacks": Case(
        config=LOGIN.replace("127.0.0.1", "localhost"), known=AUTHORITY
    ),
    "an authority, by an alias": Case(
        config=LOGIN + "  HostKeyAlias node.lab\n", known="@cert-authority node.lab <authority>\n"
    ),
    "a marker that nobody knows": Case(known="@trusted <name> <key>\n"),
    "damaged lines": Case(known="<name> ssh-rsa AAA\n<name>\n<name> ssh-ed25519 <rsa-text>\n<name> <key>\n"),
    "a damaged key": Case(known="<name> ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA\n", policy="accept-new"),
    "an alias": Case(config=LOGIN + "  HostKeyAlias Node.Lab\n", known="node.lab <key>\n"),
    "an alias that is new": Case(config=LOGIN + "  HostKeyAlias node.lab\n", known=None, policy="accept-new"),
    "another file": Case(
        config=LOGIN + '  UserKnownHostsFile ~/.ssh/more "~/two words"\n',
        known="<name> <stray>\n",
        files={".ssh/more": "", "two words": KNOWN},
    ),
    "a second file without its directory": Case(config=LOGIN + "  UserKnownHostsFile ~/.ssh/known_hosts known.work\n"),
    "a file that is not there, and one without its directory": Case(
        config=LOGIN + "  UserKnownHostsFile ~/first known.work\n", known=None, policy="accept-new"
    ),
    "files with several spaces, in directories with them": Case(
        config=LOGIN + '  UserKnownHostsFile "~/my files/of  mine" "~/my files/of yours to" ~/.ssh/known_hosts\n',
        known=None,
        files={"my files/of yours to": KNOWN},
    ),
    "a file by a token": Case(
        config=LOGIN + "  UserKnownHostsFile ~/known-%k\n", known=None, files={"known-machine": KNOWN}
    ),
    "the first of several takes new keys": Case(
        config=LOGIN + "  UserKnownHostsFile ~/first ~/.ssh/known_hosts\n", known="other <rsa>\n", policy="accept-new"
    ),
    "known_hosts2": Case(known=None, files={".ssh/known_hosts2": KNOWN}),
    "no user's file, nothing checked": Case(
        config=LOGIN + "  UserKnownHostsFile none\n  StrictHostKeyChecking no\n", policy=None
    ),
    "no user's file": Case(config=LOGIN + "  UserKnownHostsFile none\n", policy="accept-new"),
    "/dev/null": Case(config=LOGIN + "  UserKnownHostsFile /dev/null\n", policy="accept-new"),
    "/dev/null, strict": Case(config=LOGIN + "  UserKnownHostsFile /dev/null\n"),
    "the system's file": Case(
        config=LOGIN + "  GlobalKnownHostsFile ~/none <home>/system\n", known=None, files={"system": KNOWN}
    ),
    "the system's file from ~": Case(
        config=LOGIN + "  GlobalKnownHostsFile ~/system\n", known=None, files={"system": KNOWN}
    ),
    "a name that is too long": Case(
        config=LOGIN + f"  UserKnownHostsFile ~/.ssh/known_hosts {'x' * 300}\n", files={"y": ""}
    ),
    "the system's file has another key": Case(
        config=LOGIN + "  GlobalKnownHostsFile <home>/system\n", known=None, files={"system": "<name> <stray>\n"}
    ),
    "no system's file": Case(config=LOGIN + "  GlobalKnownHostsFile none\n"),
    "StrictHostKeyChecking yes": Case(config=LOGIN + "  StrictHostKeyChecking yes\n", known=None, policy=None),
    "StrictHostKeyChecking accept-new": Case(
        config="StrictHostKeyChecking accept-new\n" + LOGIN, known=None, policy=None
    ),
    "StrictHostKeyChecking accept-new, another key": Case(
        config="StrictHostKeyChecking accept-new\n" + LOGIN, known="<name> <stray>\n", policy=None
    ),
    "StrictHostKeyChecking no, another key": Case(
        config=LOGIN + "  StrictHostKeyChecking off\n", known="<name> <stray>\n", policy=None
    ),
    "StrictHostKeyChecking no, no key": Case(config=LOGIN + "  StrictHostKeyChecking no\n", known=None, policy=None),
    "the cluster file is stricter": Case(config=LOGIN + "  StrictHostKeyChecking no\n", known="<name> <stray>\n"),
    "RevokedHostKeys": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "# x\n<key> of x\n"}
    ),
    "RevokedHostKeys of others": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "<stray>\n"}
    ),
    "RevokedHostKeys in OpenSSH's own form": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", links={"revoked": "revoked.krl"}
    ),
    "RevokedHostKeys in that form, of others": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", links={"revoked": "others.krl"}
    ),
    "RevokedHostKeys of the certificate's number": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", known=AUTHORITY, links={"revoked": "serial.krl"}
    ),
    "RevokedHostKeys of the certificate's id, and the key is known": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", links={"revoked": "id.krl"}
    ),
    "RevokedHostKeys of other certificates": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", known=AUTHORITY, links={"revoked": "other-serial.krl"}
    ),
    "RevokedHostKeys of the authority": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", known=AUTHORITY, files={"revoked": "<authority>\n"}
    ),
    "RevokedHostKeys with a certificate": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", links={"revoked": "host-cert.pub"}
    ),
    "RevokedHostKeys that is no list of keys": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "hello\n"}
    ),
    "RevokedHostKeys with a damaged line": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "<stray>\nssh-ed25519 AAAA\n"}
    ),
    "RevokedHostKeys in the form of known_hosts": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "host <stray>\n"}
    ),
    "RevokedHostKeys with nothing, comments and spaces": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "\n \t\n  # <key>\n  <stray> a b\n\n"}
    ),
    "RevokedHostKeys with carriage returns": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "<stray>\r\n<rsa>\r\n"}
    ),
    "RevokedHostKeys with an empty line and a carriage return": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "<stray>\r\n\r\n"}
    ),
    "RevokedHostKeys in OpenSSH's own form, damaged": Case(
        config=LOGIN + "  RevokedHostKeys <home>/revoked\n", files={"revoked": "SSHKRL\n\0damaged"}
    ),
    "RevokedHostKeys from ~, which only newer ones take for the home": Case(
        config=LOGIN + "  RevokedHostKeys ~/revoked\n", files={"revoked": "<stray>\n"}
    ),
    "RevokedHostKeys that is not there": Case(config=LOGIN + "  RevokedHostKeys <home>/revoked\n"),
    "HostKeyAlgorithms": Case(config=LOGIN + "  HostKeyAlgorithms rsa-sha2-512\n", known="<name> <rsa>\n"),
    "HostKeyAlgorithms of another type than the known key": Case(
        config=LOGIN + "  HostKeyAlgorithms rsa-sha2-512\n", policy="accept-new"
    ),
    "HostKeyAlgorithms of security keys alone": Case(
        config=LOGIN + "  HostKeyAlgorithms sk-ssh-ed25519@openssh.com\n", policy="accept-new"
    ),
    "KnownHostsCommand": Case(
        config=LOGIN + "  KnownHostsCommand /bin/sh <home>/command %H %t\n",
        known=None,
        files={"command": 'test "$2" = NONE || echo "<name> <key>"\n'},
    ),
    "KnownHostsCommand with a variable": Case(
        config=LOGIN + "  KnownHostsCommand /bin/sh ${SPARKQFS_KEYS}/command.%r '<name> <key>'\n", known=None
    ),
    "KnownHostsCommand that fails": Case(config=LOGIN + "  KnownHostsCommand /bin/false\n"),
    "KnownHostsCommand without its directory": Case(
        config=LOGIN + "  KnownHostsCommand echo <name> <key>\n", known=None
    ),
    "KnownHostsCommand without its directory, and the key is known": Case(
        config=LOGIN + "  KnownHostsCommand echo <name> <key>\n"
    ),
    "KnownHostsCommand that is not there": Case(config=LOGIN + "  KnownHostsCommand /no-such/program\n"),
    "KnownHostsCommand that others may write": Case(
        config=LOGIN + "  KnownHostsCommand <home>/command\n",
        known=None,
        files={"command": '#!/bin/sh\necho "<name> <key>"\n'},
        modes={"command": 0o777},
    ),
    "KnownHostsCommand that cannot be run": Case(
        config=LOGIN + "  KnownHostsCommand <home>/command\n", files={"command": "#!/bin/sh\n"}
    ),
    "NoHostAuthenticationForLocalhost": Case(
        config=LOGIN + "  NoHostAuthenticationForLocalhost yes\n", known="<name> <stray>\n"
    ),
    "CheckHostIP": Case(
        config=LOGIN.replace("127.0.0.1", "localhost") + "  CheckHostIP yes\n",
        known="[localhost]:<port> <key>\n[127.0.0.1]:<port> <stray>\n",
    ),
    "known_hosts is a directory": Case(known=None, files={".ssh/known_hosts/x": ""}),
    "known_hosts that is no text": Case(known="\x00\xff\xfe\n<name> <key>\n"),
}

BROKEN = {
    "a word that this ssh does not know": Case(config="Host other\n  NoSuchWord yes\n" + LOGIN),
    "a word without a value": Case(config=LOGIN + "  Port\n"),
    "a value that cannot be": Case(config=LOGIN + "\n  Port 70000\n"),
    "neither yes nor no": Case(config="IdentitiesOnly maybe\n" + LOGIN),
    "words after the value": Case(config="\n\nUser a b\n" + LOGIN),
    "a quote without its end": Case(config='User "root\n' + LOGIN),
    "Match with a word that nobody knows": Case(config="Match weather fine\n" + LOGIN),
    "Match without anything": Case(config="Match\n" + LOGIN),
    "Match all with others": Case(config="Match all host x\n" + LOGIN),
    "a fault in an included file": Case(config="Include more\n" + LOGIN, files={".ssh/more": "\nUser a b\n"}),
    "two faults": Case(config="NoSuchWord 1\nOtherWord 2\n" + LOGIN),
    "a fault among remarks": Case(config="LogLevel DEBUG\nRhostsRSAAuthentication no\nUser a b\n" + LOGIN),
    "a file that includes itself": Case(config="Include config\n" + LOGIN),
    "a jump host that needs itself": Case(config="Host *\n  ProxyJump gate\n" + LOGIN),
    "a file that others may write": Case(modes={".ssh/config": 0o666}),
    "an included file that others may write": Case(
        config="Include more\n" + LOGIN, files={".ssh/more": ""}, modes={".ssh/more": 0o622}
    ),
    "a variable that is not set": Case(config=LOGIN + "  IdentityFile ${SPARKQFS_NO}/a\n"),
    "a token of a key file that there is not": Case(config=LOGIN + "  IdentityFile ~/%z\n"),
    "a token of a jump host that there is not": Case(config=LOGIN + "  ProxyJump gate-%z\n"),
    "the home of nobody": Case(config=LOGIN + "  IdentityFile ~no-such-user/a\n"),
    "the system's file from the home of nobody": Case(config=LOGIN + "  GlobalKnownHostsFile ~no-such-user/a\n"),
    "the user's file from the home of nobody": Case(config=LOGIN + "  UserKnownHostsFile ~no-such-user/a\n"),
    "a token that there is not": Case(config=LOGIN + "  UserKnownHostsFile ~/%z\n"),
}

CASES = {**CONFIGS, **KNOWN_HOSTS, **BROKEN}
