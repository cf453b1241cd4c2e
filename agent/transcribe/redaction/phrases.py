"""The phrases that say what a number is, French and English, folded: cards, accounts, phones, and things that have one.

Each belongs to one topic; the longest phrase wins, so that "carte vitale" is no "carte".
"""

from enum import Enum

from agent.transcribe.redaction.lexicon import FILLERS
from agent.transcribe.redaction.tables import table


class Topic(Enum):
    """What is announced. ORDER: any number that is known not to be secret; THING: that of a thing which no list knows;
    MATTER: a thing that has one; NUMBER: only that there is one; BACK: where a card's code stands; CODE: some code,
    OTHER_CODE: one that is none of a card's. OTHER ends a number, and announces nothing."""

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
    PAYING = "paying"
    TAIL = "tail"
    MATTER = "matter"
    SIRET = "siret"
    DATE = "date"
    BACK = "back"
    CODE = "code"
    OTHER_CODE = "other code"
    OTHER = "other"


_NOUNS = (
    "commande dossier facture suivi colis contrat devis ticket incident sinistre client serie reservation compteur lot"
    " police billet course mission intervention reclamation autorisation article produit demande opposition adherent"
    " abonne"
)
_THINGS = (
    "badge plomb scelle bordereau transaction groupe adhesion parcelle cadastre plaque quittance cheque avis vol train"
    " palette borne station relais ordonnance formulaire libelle puce microchip chip immatriculation finess duns amc"
    " garantie abonnement inscription candidature annonce retour virement"
    " flight seal batch permit receipt group consignment docket voucher bill statement"
    " railcard locker lease warranty subscription referral prescription toner shipment waybill"
)
_NUMBERED = (
    "order case ticket invoice tracking booking policy claim customer confirmation asset meter parcel job fault"
    " application membership enquiry call delivery specimen loan part item authorisation authorization model"
)
_MATTERS = (
    f"{_NOUNS} {_THINGS} ticket invoice booking policy claim confirmation asset meter parcel job application membership"
    " enquiry delivery loan reclamation authorisation authorization"
)
_ORDER = (
    "|".join(
        [f"numero de {noun}|{noun} numero|numero du {noun}" for noun in _NOUNS.split()]
        + [f"{noun} number|{noun} no|{noun} id|{noun} reference" for noun in _NUMBERED.split()]
    )
    + "|reference|references|ref|identifiant|numero client|imei|point de livraison|pdl|prm|pce|matricule|tracking"
    "|code barres|code barre|codes barres|codes barre|point d'injection"
    "|barcode|bar code|isbn|ean|adresse ip|ip address|ip|masque|passerelle|subnet|mask|gateway"
    "|porte le numero|a le numero|code erreur|code d'erreur|message d'erreur|error code|version|build|user id|member id"
    "|account id|staff id|customer account number|account number on the letter|account number on the bill"
    "|account number on your bill|account number on the invoice|account number on your letter|service tag|serial"
    "|serial number|serial no|qr code|suivi numero"
)
_CARDS_OF = """verte grise sim avantage jeune senior etudiant navigo mere graphique reseau memoire mutuelle electorale
    professionnelle abonnement adherent"""
_CARDS_DE = "fidelite sejour visite membre transport mutuelle presse lecteur bibliotheque mediatheque cantine resident"
_CARDS_D = "identite embarquement abonnement adherent assure etudiant invalidite"
_OF_CARDS = """loyalty membership business id library sim green insurance report boarding graphics network memory staff
    member student implant appointment travel points"""
_OTHER_CARDS = "|".join(
    [
        *(f"carte {name}" for name in _CARDS_OF.split()),
        *(f"carte de {name}" for name in _CARDS_DE.split()),
        *(f"carte d'{name}" for name in _CARDS_D.split()),
        *(f"{name} card" for name in _OF_CARDS.split()),
    ]
)
"""Cards that nobody pays with."""
_CODES_OF = """promo promotion reduction avantage parrainage entree porte acces immeuble portail parking garage cle wifi
    pin agence guichet banque couleur reponse pays naf ape"""
_OF_CODES = """promo promotional discount voucher referral offer door gate entry access key pin pass area dialling
    country branch colour color dress wifi booking"""
_OTHER_CODES = "|".join(
    [*(f"code {name}" for name in _CODES_OF.split()), *(f"{name} code" for name in _OF_CODES.split())]
)
"""Codes that are no card's."""
PHRASES = {
    Topic.CARD: "carte|cartes|cb|visa|mastercard|master card|amex|american express|card|cards|credit card|debit card"
    "|long number"
    "|seize chiffres|16 chiffres|sixteen digits|sixteen digit|16 digits|numero a seize|payer|paiement|payment",
    Topic.CVV: "cryptogramme|crypto gramme|crypto|cvv|cvc|csc|cvv2|cv v|c v v|c v c|code de securite|code visuel"
    "|chiffres au dos|au dos de la carte|dos de la carte|code au dos"
    "|trois chiffres|3 chiffres|trois derniers chiffres|3 derniers chiffres|security code|three digits|3 digits"
    "|three digit|digits on the back|numbers on the back|back of the card|four digits on the front"
    "|four on the front|last three on the back|three on the back|trois au dos|trois derriere"
    "|quatre chiffres devant|verification code|code de verification",
    Topic.EXPIRY: "expire|expiration|expiry|expires|expiring|valable|validite|valid until|valid thru|good thru|valid to"
    "|valid till|valid through|good until|runs out|run out"
    "|date de fin"
    "|finit quand|termine quand|fini quand|finira quand"
    "|a quand|va a quand|bonne a|quel mois|mois et annee|mois et l annee|mois annee"
    "|month and year|month and the year|what month|which month|until when|good till"
    "|date d'expiration|expiry date|expiration date|date de validite|end date",
    Topic.BANK: "iban|rib|i b a n|compte bancaire|coordonnees bancaires|releve d'identite bancaire|bank account"
    "|account number|numero de compte|sort code|prelevement",
    Topic.NIR: "securite sociale|numero de secu|secu|carte vitale|vitale|nir|social security|assure social"
    "|numero d'assure|immatriculation sociale",
    Topic.PHONE: "telephone|telephones|portable|mon fixe|le fixe|numero fixe|ligne fixe|joindre|rappeler|rappelle"
    "|rappelez|appeler|joignable|mobile|phone"
    "|cell|cellphone|landline|call you|call me|call back|ring me|ring you|ring us|call us|you ring|ring on|text you"
    "|reach you|reach me|telephone number|whatsapp|sms|numero de tel|ligne directe|direct line|phone number"
    "|my number|best number|contact number|daytime number|new number|another number|number for you|number for him"
    "|number for her|number for the driver|he's on|she's on|reach him|reach her|call him|call her",
    Topic.EMAIL: "mail|email|e mail|mel|courriel|messagerie|adresse electronique|mails|emails",
    Topic.SIRET: "siret|siren",
    Topic.ORDER: _ORDER,
    Topic.MATTER: "commandes|dossiers|factures|contrats|billets|tickets|orders|invoices|parcels|bookings|order is"
    "|order|order was|case is|bon de livraison|bon de commande|" + "|".join(_MATTERS.split()),
    Topic.NUMBER: "numero|numeros|number|suite de chiffres|row of digits|string of digits",
    Topic.PAYING: "regler|regle|solder|acquitter|pay|paying|settle|settling",
    Topic.OTHER: "code postal|postcode|post code|zip|date de naissance|date of birth|born|ne le|nee le|poste|extension"
    "|montant|total|etage|naissance|extension number|amount"
    "|code confidentiel|passeport|passport|tva|annee"
    "|numero fiscal|nhs|nhs number|national insurance number",
    Topic.THING: _OTHER_CARDS,
    Topic.BACK: "au dos|derriere|on the back|on the front|sur le devant|trois derniers|last three",
    Topic.CODE: "code|the code",
    Topic.OTHER_CODE: _OTHER_CODES,
    Topic.DATE: "date|la date|dates|les dates",
    Topic.TAIL: "se terminant par|terminant par|finissant par|finit par|se termine par"
    "|ending|ending in|ends|ends in|ends with",
}
PASSING = frozenset({Topic.NUMBER, Topic.PAYING, Topic.BACK, Topic.CODE, Topic.OTHER_CODE})
"""What is said of a number that goes on, and announces none by itself."""
NOT_THINGS = FILLERS | table(
    """a an any that this my your our his her their another other same right wrong new old best main first second third
    last next middle whole full complete entire long short digit figure correct direct home work office contact daytime
    evening emergency house flat door street room pin insurance security nhs nino tax passport licence license phone one
    what which whose whatever each every single big large small random lucky real actual only
    mon ma mes ton ta votre vos son sa ses notre nos leur leurs un une des cet cette quel quelle qui que quoi
    mari femme fille fils mere pere maman papa soeur frere conjoint conjointe voisin voisine collegue madame monsieur
    bureau domicile maison travail tel gsm contact urgence fixe mobile portable personne deux trois quatre quinze seize
    secret confidentiel pin nationalite identite passeport permis fiscal fin debut suite
    par pour sur sous dans avec sans chez deja encore bien aussi provisoire definitif complet entier
    ordre commune doucement lentement tranquillement"""
)
"""What stands beside "numéro" and "number" and is no thing that has one, or a person, whose number is a phone's."""
