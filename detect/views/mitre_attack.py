"""Names of ATT&CK tactics and techniques: what a workload's traffic can show. What is not here keeps its id.

Source: MITRE ATT&CK for Enterprise, version 18.1: techniques of the platform Containers, of command and control and of
exfiltration, and others that rules on flows name. (c) The MITRE Corporation; this table is reproduced and distributed
with the permission of The MITRE Corporation (https://attack.mitre.org/resources/legal-and-branding/terms-of-use/).
"""

from __future__ import annotations

from typing import NamedTuple

from detect.model import RuleInfo

VERSION = "18.1"
SITE = "https://attack.mitre.org"


class Tactic(NamedTuple):
    """What it is for. uid: TA0006; word: credential-access, as Sigma's tags have it but for underscores."""

    uid: str
    name: str
    word: str

    @property
    def url(self) -> str:
        """Its page."""
        return f"{SITE}/tactics/{self.uid}/"


class Technique(NamedTuple):
    """How it is done. uid: T1552 or T1552.005; name: None when it is not in the table. tactics: what it is for."""

    uid: str
    name: str | None
    tactics: tuple[Tactic, ...]
    parent: Technique | None = None

    @property
    def url(self) -> str:
        """Its page."""
        return f"{SITE}/techniques/{self.uid.replace('.', '/')}/"


def technique(uid: str) -> Technique:
    """Return what is known of a technique; its id alone when that is not in the table."""
    uid = uid.upper()
    name, tactics = _TECHNIQUES.get(uid, (None, ()))
    above = technique(uid.partition(".")[0]) if "." in uid else None
    return Technique(uid, name, tactics or (above.tactics if above else ()), above)


def attacks(rule: RuleInfo) -> list[tuple[Tactic | None, Technique | None]]:
    """Return what a rule says it finds: its techniques with their tactics, then tactics that have no technique here.

    A technique that serves several tactics is told with those that the rule's tags name, else with all of them.
    """
    said = [TACTICS[word] for tag in rule.tags if (word := _tactic_of(tag)) is not None]
    found: list[tuple[Tactic | None, Technique | None]] = []
    for one in map(technique, dict.fromkeys(rule.attacks)):
        wanted = [tactic for tactic in one.tactics if tactic in said] or one.tactics
        found += [(tactic, one) for tactic in wanted] or [(None, one)]
    told = {tactic for tactic, _ in found}
    return found + [(tactic, None) for tactic in dict.fromkeys(said) if tactic not in told]


def _tactic_of(tag: str) -> str | None:
    """attack.credential_access or attack.credential-access; other tags are none."""
    space, _, word = tag.lower().partition(".")
    word = word.replace("_", "-")
    return word if space == "attack" and word in TACTICS else None


TACTICS = {
    "reconnaissance": Tactic("TA0043", "Reconnaissance", "reconnaissance"),
    "resource-development": Tactic("TA0042", "Resource Development", "resource-development"),
    "initial-access": Tactic("TA0001", "Initial Access", "initial-access"),
    "execution": Tactic("TA0002", "Execution", "execution"),
    "persistence": Tactic("TA0003", "Persistence", "persistence"),
    "privilege-escalation": Tactic("TA0004", "Privilege Escalation", "privilege-escalation"),
    "defense-evasion": Tactic("TA0005", "Defense Evasion", "defense-evasion"),
    "credential-access": Tactic("TA0006", "Credential Access", "credential-access"),
    "discovery": Tactic("TA0007", "Discovery", "discovery"),
    "lateral-movement": Tactic("TA0008", "Lateral Movement", "lateral-movement"),
    "collection": Tactic("TA0009", "Collection", "collection"),
    "command-and-control": Tactic("TA0011", "Command and Control", "command-and-control"),
    "exfiltration": Tactic("TA0010", "Exfiltration", "exfiltration"),
    "impact": Tactic("TA0040", "Impact", "impact"),
}


def _read(text: str) -> dict[str, tuple[str, tuple[Tactic, ...]]]:
    rows = (line.split(" | ") for line in text.strip().splitlines())
    return {uid: (name, tuple(TACTICS[word] for word in words.split())) for uid, words, name in rows}


_TECHNIQUES = _read("""
T1001 | command-and-control | Data Obfuscation
T1001.001 | command-and-control | Junk Data
T1001.002 | command-and-control | Steganography
T1001.003 | command-and-control | Protocol or Service Impersonation
T1005 | collection | Data from Local System
T1007 | discovery | System Service Discovery
T1008 | command-and-control | Fallback Channels
T1011 | exfiltration | Exfiltration Over Other Network Medium
T1011.001 | exfiltration | Exfiltration Over Bluetooth
T1014 | defense-evasion | Rootkit
T1016 | discovery | System Network Configuration Discovery
T1018 | discovery | Remote System Discovery
T1020 | exfiltration | Automated Exfiltration
T1020.001 | exfiltration | Traffic Duplication
T1021 | lateral-movement | Remote Services
T1021.001 | lateral-movement | Remote Desktop Protocol
T1021.002 | lateral-movement | SMB/Windows Admin Shares
T1021.003 | lateral-movement | Distributed Component Object Model
T1021.004 | lateral-movement | SSH
T1021.005 | lateral-movement | VNC
T1021.006 | lateral-movement | Windows Remote Management
T1021.007 | lateral-movement | Cloud Services
T1021.008 | lateral-movement | Direct Cloud VM Connections
T1029 | exfiltration | Scheduled Transfer
T1030 | exfiltration | Data Transfer Size Limits
T1036 | defense-evasion | Masquerading
T1036.005 | defense-evasion | Match Legitimate Resource Name or Location
T1036.010 | defense-evasion | Masquerade Account Name
T1039 | collection | Data from Network Shared Drive
T1040 | credential-access discovery | Network Sniffing
T1041 | exfiltration | Exfiltration Over C2 Channel
T1046 | discovery | Network Service Discovery
T1048 | exfiltration | Exfiltration Over Alternative Protocol
T1048.001 | exfiltration | Exfiltration Over Symmetric Encrypted Non-C2 Protocol
T1048.002 | exfiltration | Exfiltration Over Asymmetric Encrypted Non-C2 Protocol
T1048.003 | exfiltration | Exfiltration Over Unencrypted Non-C2 Protocol
T1049 | discovery | System Network Connections Discovery
T1052 | exfiltration | Exfiltration Over Physical Medium
T1052.001 | exfiltration | Exfiltration over USB
T1053 | execution persistence privilege-escalation | Scheduled Task/Job
T1053.007 | execution persistence privilege-escalation | Container Orchestration Job
T1059 | execution | Command and Scripting Interpreter
T1059.004 | execution | Unix Shell
T1059.013 | execution | Container CLI/API
T1068 | privilege-escalation | Exploitation for Privilege Escalation
T1069 | discovery | Permission Groups Discovery
T1070 | defense-evasion | Indicator Removal
T1071 | command-and-control | Application Layer Protocol
T1071.001 | command-and-control | Web Protocols
T1071.002 | command-and-control | File Transfer Protocols
T1071.003 | command-and-control | Mail Protocols
T1071.004 | command-and-control | DNS
T1071.005 | command-and-control | Publish/Subscribe Protocols
T1078 | initial-access persistence privilege-escalation defense-evasion | Valid Accounts
T1078.001 | initial-access persistence privilege-escalation defense-evasion | Default Accounts
T1078.003 | initial-access persistence privilege-escalation defense-evasion | Local Accounts
T1082 | discovery | System Information Discovery
T1087 | discovery | Account Discovery
T1087.002 | discovery | Domain Account
T1090 | command-and-control | Proxy
T1090.001 | command-and-control | Internal Proxy
T1090.002 | command-and-control | External Proxy
T1090.003 | command-and-control | Multi-hop Proxy
T1090.004 | command-and-control | Domain Fronting
T1092 | command-and-control | Communication Through Removable Media
T1095 | command-and-control | Non-Application Layer Protocol
T1098 | persistence privilege-escalation | Account Manipulation
T1098.006 | persistence privilege-escalation | Additional Container Cluster Roles
T1102 | command-and-control | Web Service
T1102.001 | command-and-control | Dead Drop Resolver
T1102.002 | command-and-control | Bidirectional Communication
T1102.003 | command-and-control | One-Way Communication
T1104 | command-and-control | Multi-Stage Channels
T1105 | command-and-control | Ingress Tool Transfer
T1110 | credential-access | Brute Force
T1110.001 | credential-access | Password Guessing
T1110.003 | credential-access | Password Spraying
T1110.004 | credential-access | Credential Stuffing
T1132 | command-and-control | Data Encoding
T1132.001 | command-and-control | Standard Encoding
T1132.002 | command-and-control | Non-Standard Encoding
T1133 | initial-access persistence | External Remote Services
T1135 | discovery | Network Share Discovery
T1136 | persistence | Create Account
T1136.001 | persistence | Local Account
T1187 | credential-access | Forced Authentication
T1189 | initial-access | Drive-by Compromise
T1190 | initial-access | Exploit Public-Facing Application
T1195 | initial-access | Supply Chain Compromise
T1195.002 | initial-access | Compromise Software Supply Chain
T1199 | initial-access | Trusted Relationship
T1200 | initial-access | Hardware Additions
T1203 | execution | Exploitation for Client Execution
T1204 | execution | User Execution
T1204.003 | execution | Malicious Image
T1205 | persistence defense-evasion command-and-control | Traffic Signaling
T1205.001 | persistence defense-evasion command-and-control | Port Knocking
T1205.002 | persistence defense-evasion command-and-control | Socket Filters
T1210 | lateral-movement | Exploitation of Remote Services
T1213 | collection | Data from Information Repositories
T1213.006 | collection | Databases
T1219 | command-and-control | Remote Access Tools
T1219.001 | command-and-control | IDE Tunneling
T1219.002 | command-and-control | Remote Desktop Software
T1219.003 | command-and-control | Remote Access Hardware
T1482 | discovery | Domain Trust Discovery
T1485 | impact | Data Destruction
T1486 | impact | Data Encrypted for Impact
T1489 | impact | Service Stop
T1490 | impact | Inhibit System Recovery
T1496 | impact | Resource Hijacking
T1496.001 | impact | Compute Hijacking
T1496.002 | impact | Bandwidth Hijacking
T1498 | impact | Network Denial of Service
T1498.001 | impact | Direct Network Flood
T1498.002 | impact | Reflection Amplification
T1499 | impact | Endpoint Denial of Service
T1505 | persistence | Server Software Component
T1505.003 | persistence | Web Shell
T1525 | persistence | Implant Internal Image
T1526 | discovery | Cloud Service Discovery
T1528 | credential-access | Steal Application Access Token
T1530 | collection | Data from Cloud Storage
T1537 | exfiltration | Transfer Data to Cloud Account
T1543 | persistence privilege-escalation | Create or Modify System Process
T1543.005 | persistence privilege-escalation | Container Service
T1550 | defense-evasion lateral-movement | Use Alternate Authentication Material
T1550.001 | defense-evasion lateral-movement | Application Access Token
T1552 | credential-access | Unsecured Credentials
T1552.001 | credential-access | Credentials In Files
T1552.005 | credential-access | Cloud Instance Metadata API
T1552.007 | credential-access | Container API
T1557 | credential-access collection | Adversary-in-the-Middle
T1557.002 | credential-access collection | ARP Cache Poisoning
T1558 | credential-access | Steal or Forge Kerberos Tickets
T1562 | defense-evasion | Impair Defenses
T1562.001 | defense-evasion | Disable or Modify Tools
T1562.004 | defense-evasion | Disable or Modify System Firewall
T1562.007 | defense-evasion | Disable or Modify Cloud Firewall
T1563 | lateral-movement | Remote Service Session Hijacking
T1564 | defense-evasion | Hide Artifacts
T1565 | impact | Data Manipulation
T1565.002 | impact | Transmitted Data Manipulation
T1566 | initial-access | Phishing
T1567 | exfiltration | Exfiltration Over Web Service
T1567.001 | exfiltration | Exfiltration to Code Repository
T1567.002 | exfiltration | Exfiltration to Cloud Storage
T1567.003 | exfiltration | Exfiltration to Text Storage Sites
T1567.004 | exfiltration | Exfiltration Over Webhook
T1568 | command-and-control | Dynamic Resolution
T1568.001 | command-and-control | Fast Flux DNS
T1568.002 | command-and-control | Domain Generation Algorithms
T1568.003 | command-and-control | DNS Calculation
T1570 | lateral-movement | Lateral Tool Transfer
T1571 | command-and-control | Non-Standard Port
T1572 | command-and-control | Protocol Tunneling
T1573 | command-and-control | Encrypted Channel
T1573.001 | command-and-control | Symmetric Cryptography
T1573.002 | command-and-control | Asymmetric Cryptography
T1580 | discovery | Cloud Infrastructure Discovery
T1595 | reconnaissance | Active Scanning
T1595.001 | reconnaissance | Scanning IP Blocks
T1595.002 | reconnaissance | Vulnerability Scanning
T1599 | defense-evasion | Network Boundary Bridging
T1601 | defense-evasion | Modify System Image
T1609 | execution | Container Administration Command
T1610 | execution defense-evasion | Deploy Container
T1611 | privilege-escalation | Escape to Host
T1612 | defense-evasion | Build Image on Host
T1613 | discovery | Container and Resource Discovery
T1619 | discovery | Cloud Storage Object Discovery
T1659 | initial-access command-and-control | Content Injection
T1665 | command-and-control | Hide Infrastructure
""")
