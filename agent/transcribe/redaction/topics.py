"""What the conversation is about where a number is said: the words that announce a card, an order, a phone number.

The nearest announcement before a number decides; an announcement also ends the number before it. There is no list of
all things that have numbers: "numéro de" or "… number" with any other word announces that thing's (THING), and what is
called so is told from people, places and parts of a number by short lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from agent.transcribe.redaction.atoms import Atom
from agent.transcribe.redaction.lexicon import FILLERS
from agent.transcribe.redaction.tables import table


class Topic(Enum):
    """What is announced. ORDER: any number that is known not to be secret; THING: that of a thing which no list knows;
    MATTER: a thing that has one; NUMBER: only that there is one. OTHER ends a number, and announces nothing."""

    CARD = "card"
    CVV = "cvv"
    EXPIRY = "expiry"
    BANK = "bank"
    NIR = "nir"
    PHONE = "phone"
    EMAIL = "email"
    ORDER = "order"
    THING = "thing"
    NUMBER = "number"
    TAIL = "tail"
    MATTER = "matter"
    SIRET = "siret"
    OTHER = "other"


_NOUNS = (
    "commande dossier facture suivi colis contrat devis ticket incident sinistre client serie reservation compteur lot"
    " police billet course mission intervention reclamation autorisation article produit demande opposition adherent"
    " abonne"
)
_NUMBERED = (
    "order case ticket invoice tracking booking policy claim customer confirmation serial asset meter parcel job fault"
    " application membership enquiry call delivery specimen loan part item authorisation authorization model"
)
_ORDER = (
    "|".join(
        [f"numero de {noun}|{noun} numero|numero du {noun}" for noun in _NOUNS.split()]
        + [f"{noun} number|{noun} no|{noun} id|{noun} reference" for noun in _NUMBERED.split()]
    )
    + "|reference|references|ref|identifiant|numero client|imei|point de livraison|pdl|prm|pce|matricule|tracking"
    "|code barres|code barre|barcode|bar code|isbn|ean|adresse ip|ip address|ip|masque|passerelle|subnet|mask|gateway"
    "|porte le numero|a le numero|code erreur|code d'erreur|message d'erreur|error code|version|build|user id|member id"
    "|account id|staff id|service tag|serial"
)
_OTHER_CARDS = "|".join(
    [f"carte {of}" for of in "verte grise sim avantage jeune senior etudiant navigo mere graphique reseau memoire".split()]
    + [f"carte {of}" for of in "mutuelle professionnelle electorale abonnement adherent".split()]
    + [f"carte de {of}" for of in "fidelite sejour visite membre transport mutuelle presse".split()]
    + [f"carte d'{of}" for of in "identite embarquement abonnement adherent assure etudiant invalidite".split()]
    + [f"{of} card" for of in "loyalty membership business id library sim green insurance report boarding".split()]
    + [f"{of} card" for of in "graphics network memory staff member student implant appointment travel points".split()]
)
"""Cards that nobody pays with."""
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
    "|numero de tel|ligne directe|direct line|phone number",
    Topic.EMAIL: "mail|email|e mail|mel|courriel|messagerie|adresse electronique|mails|emails",
    Topic.SIRET: "siret|siren",
    Topic.ORDER: _ORDER,
    Topic.MATTER: "commandes|dossiers|factures|contrats|billets|billet|tickets|orders|invoices|parcels|bookings"
    "|commande|dossier|facture|suivi|colis|contrat|devis|ticket|incident|sinistre|order is|order was"
    "|invoice"
    "|booking|policy|claim|compteur|meter|parcel|reservation|asset|police|reclamation|case is|job|enquiry",
    Topic.NUMBER: "numero|numeros|number",
    Topic.OTHER: "code postal|postcode|post code|zip|date de naissance|date of birth|born|ne le|nee le|poste|extension"
    "|montant|total|date|etage|naissance|extension number|amount"
    "|code confidentiel|passeport|passport|tva|annee"
    f"|{_OTHER_CARDS}",
    Topic.TAIL: "se terminant par|terminant par|finissant par|finit par|se termine par|ending|ending in|ends in|ends with",
}
_SECRET = frozenset(
    {Topic.CARD, Topic.CVV, Topic.EXPIRY, Topic.BANK, Topic.NIR, Topic.PHONE, Topic.EMAIL, Topic.SIRET, Topic.OTHER}
)
_NOT_THINGS = FILLERS | table(
    """a an any that this my your our his her their another other same right wrong new old best main first second third
    last next middle whole full complete entire long short digit figure correct direct home work office contact daytime
    evening emergency house flat door street room pin insurance security nhs nino tax passport licence license phone one
    what which whose whatever each every single big large small random lucky real actual only
    mon ma mes ton ta votre vos son sa ses notre nos leur leurs un une des cet cette quel quelle qui que quoi
    mari femme fille fils mere pere maman papa soeur frere conjoint conjointe voisin voisine collegue madame monsieur
    bureau domicile maison travail tel gsm contact urgence fixe mobile portable personne deux trois quatre quinze seize
    secret confidentiel pin nationalite identite passeport permis fiscal fin debut suite seize"""
)
"""What stands beside "numéro" and "number" and is no thing that has one, or a person, whose number is a phone's."""
_LONGEST = 5
_TABLE = {
    tuple(phrase.replace("d'", "").split()): topic
    for topic, phrases in _PHRASES.items()
    for phrase in phrases.split("|")
}


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
    while at < len(atoms):
        mention = _listed(atoms, at)
        if mention is None or mention.topic is Topic.NUMBER:
            mention = _thing(atoms, at) or mention
        if mention is not None:
            found.append(mention)
        at = mention.after if mention else at + 1
    return found


def _listed(atoms: Sequence[Atom], at: int) -> Mention | None:
    """The longest phrase of the table that begins at a position."""
    for length in range(min(_LONGEST, len(atoms) - at), 0, -1):
        topic = _TABLE.get(tuple(atom.text for atom in atoms[at : at + length]))
        if topic is not None:
            return Mention(topic, at, at + length)
    return None


def _thing(atoms: Sequence[Atom], at: int) -> Mention | None:
    """The number of some thing: "numéro d'engagement", "numéro de la borne", "accession number", "fault reference"."""
    if atoms[at].text == "numero":
        noun = at + 1
        while noun < min(at + 3, len(atoms)) and atoms[noun].text in ("de", "du", "des", "la", "l"):
            noun += 1
        return Mention(Topic.THING, at, noun + 1) if _is_thing(atoms, noun) else None
    named = at + 1 < len(atoms) and atoms[at + 1].text in ("number", "id") and atoms[at + 1].linked
    return Mention(Topic.THING, at, at + 2) if named and _is_thing(atoms, at) else None


def _is_thing(atoms: Sequence[Atom], at: int) -> bool:
    """Whether a word may be the name of a thing that has a number: no figure, no name of a person, no secret."""
    if at >= len(atoms) or not atoms[at].linked or not atoms[at].text.isalpha() or len(atoms[at].text) < 3:
        return False
    if atoms[at].text in _NOT_THINGS or (atoms[at].capital and not atoms[at].upper and not _begins(atoms, at)):
        return False
    listed = _listed(atoms, at)
    return listed is None or listed.topic not in _SECRET


def _begins(atoms: Sequence[Atom], at: int) -> bool:
    """Whether a sentence begins at a position, so that a capital says nothing."""
    return at == 0 or atoms[at - 1].ends
