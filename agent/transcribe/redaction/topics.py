"""What the conversation is about where a number is said: the words that announce a card, an order, a phone number.

The nearest announcement before a number decides; an announcement also ends the number before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from agent.transcribe.redaction.atoms import Atom


class Topic(Enum):
    """What is announced. ORDER: any number that is known not to be secret; MATTER: a thing that has one. OTHER ends a
    number, and announces nothing."""

    CARD = "card"
    CVV = "cvv"
    EXPIRY = "expiry"
    BANK = "bank"
    NIR = "nir"
    PHONE = "phone"
    EMAIL = "email"
    ORDER = "order"
    MATTER = "matter"
    SIRET = "siret"
    OTHER = "other"


_NOUNS = (
    "commande dossier facture suivi colis contrat devis ticket incident sinistre client serie reservation compteur lot"
)
_NUMBERED = "order case ticket invoice tracking booking policy claim customer confirmation serial asset meter parcel"
_ORDER = (
    "|".join(
        [f"numero de {noun}|{noun} numero|numero du {noun}" for noun in _NOUNS.split()]
        + [f"{noun} number|{noun} no|{noun} id|{noun} reference" for noun in _NUMBERED.split()]
    )
    + "|reference|references|ref|identifiant|numero client|imei|point de livraison|pdl|prm|carte de fidelite"
    "|loyalty card|tracking"
)
_PHRASES = {
    Topic.CARD: "carte|cartes|cb|visa|mastercard|master card|amex|american express|card|credit card|debit card"
    "|long number"
    "|seize chiffres|16 chiffres|sixteen digits|sixteen digit|16 digits|numero a seize|payer|paiement|payment",
    Topic.CVV: "cryptogramme|crypto gramme|crypto|cvv|cvc|csc|cvv2|cv v|c v v|c v c|code de securite|code visuel"
    "|chiffres au dos|au dos de la carte|dos de la carte|code au dos"
    "|trois chiffres|3 chiffres|trois derniers chiffres|3 derniers chiffres|security code|three digits|3 digits"
    "|three digit|digits on the back|numbers on the back|back of the card|four digits on the front"
    "|quatre chiffres devant|verification code|code de verification",
    Topic.EXPIRY: "expire|expiration|expiry|expires|expiring|valable|validite|valid until|valid thru|good thru"
    "|date de fin"
    "|date d'expiration|expiry date|expiration date|date de validite|end date",
    Topic.BANK: "iban|rib|i b a n|compte bancaire|coordonnees bancaires|releve d'identite bancaire|bank account"
    "|account number|numero de compte|sort code|prelevement",
    Topic.NIR: "securite sociale|numero de secu|secu|carte vitale|vitale|nir|social security|assure social"
    "|numero d'assure|immatriculation sociale",
    Topic.PHONE: "telephone|telephones|portable|mon fixe|le fixe|numero fixe|ligne fixe|joindre|rappeler|rappelle"
    "|rappelez|appeler|joignable|mobile|phone"
    "|cell|cellphone|landline|call you|call me|call back|ring me|reach you|reach me|telephone number|whatsapp|sms"
    "|numero de tel",
    Topic.EMAIL: "mail|email|e mail|mel|courriel|messagerie|adresse electronique|mails|emails",
    Topic.SIRET: "siret|siren",
    Topic.ORDER: _ORDER,
    Topic.MATTER: "commandes|dossiers|factures|contrats|billets|billet|tickets|orders|invoices|parcels|bookings"
    "|commande|dossier|facture|suivi|colis|contrat|devis|ticket|incident|sinistre|order is|order was"
    "|invoice"
    "|booking|policy|claim|compteur|meter|parcel|reservation|asset",
    Topic.OTHER: "code postal|postcode|post code|zip|date de naissance|date of birth|born|ne le|nee le|poste|extension"
    "|montant|total|date|etage|naissance|extension number|amount|carte d'identite|carte grise|carte sim|sim card"
    "|code confidentiel|passeport|passport|tva|annee",
}
_TABLE = {
    tuple(phrase.replace("d'", "").split()): topic
    for topic, phrases in _PHRASES.items()
    for phrase in phrases.split("|")
}
_LENGTHS: dict[str, int] = {}
"""How long the longest phrase is that begins with a word."""
for _phrase in _TABLE:
    _LENGTHS[_phrase[0]] = max(len(_phrase), _LENGTHS.get(_phrase[0], 0))


@dataclass(frozen=True, slots=True)
class Mention:
    """A topic and its half-open atoms on one channel."""

    topic: Topic
    first: int
    after: int


def mentions(atoms: Sequence[Atom]) -> list[Mention]:
    """All announcements of a channel, the longest where several begin: "carte vitale" is not "carte"."""
    found: list[Mention] = []
    at = 0
    texts = tuple(atom.text for atom in atoms)
    while at < len(texts):
        for length in range(min(_LENGTHS.get(texts[at], 0), len(texts) - at), 0, -1):
            topic = _TABLE.get(texts[at : at + length])
            if topic is not None:
                found.append(Mention(topic, at, at + length))
                at += length
                break
        else:
            at += 1
    return found


def endings(topic: Topic) -> frozenset[str]:
    """The last words of all that announces a topic."""
    return frozenset(phrase[-1] for phrase, announced in _TABLE.items() if announced is topic)
