"""The words of the report, in both its languages. `{names}` are filled in; both must have the same."""

from collections.abc import Mapping
from enum import StrEnum


class Language(StrEnum):
    """Of the reader."""

    FR = "fr"
    EN = "en"


_FR = {
    "title": "Rapport de preuve : enregistrement téléphonique",
    "made": "Établi le {at} (UTC) par vérification hors ligne, sans confiance en celui qui le présente.",
    "intact": "INTACT",
    "altered": "ALTÉRÉ",
    "partial": "INTACT, CONTENU NON OUVERT",
    "says_intact": "Tout ce qui a été vérifié est tel qu’il a été écrit. Les fichiers, le manifeste signé et le "
    "journal concordent.",
    "says_alone": "Tout ce qui a été vérifié est tel qu’il a été écrit : les fichiers sont ceux du manifeste signé. "
    "Aucun journal n’a été présenté ici.",
    "says_partial": "Tout ce qui a été vérifié est tel qu’il a été écrit. Le manifeste n’a pas été ouvert, faute "
    "de clé : les pauses viennent des notes de l’enregistreur, et le contenu n’a pas été examiné.",
    "says_altered": "{count} écart(s) constaté(s). L’enregistrement ne doit pas être produit sans explication de "
    "chacun :",
    "says_elsewhere": "{count} écart(s) concernent d’autres appels ; voir greffier verify.",
    "more": "… et {count} autre(s).",
    "call": "Appel",
    "site": "Site",
    "purpose": "Finalité (fondement)",
    "when": "Début – fin (UTC)",
    "duration": "Durée",
    "parties": "Parties (pseudonymes)",
    "channel": "voie {number}",
    "rule": "Décision d’enregistrer",
    "models": "Texte écrit par",
    "customer": "client",
    "agent": "agent",
    "other": "autre",
    "picture": "Ce qui a été enregistré",
    "closed": "Le son n’a pas été ouvert : seules les marques sont montrées.",
    "caption": "Hachuré : absent de l’enregistrement. Gris : rien n’a été reçu. Les numéros renvoient au tableau.",
    "number": "N°",
    "from_to": "De – à",
    "what": "Quoi",
    "by": "Par",
    "why": "Motif",
    "nothing_absent": "Rien ne manque : ni pause, ni masquage, ni coupure.",
    "pause": "pause",
    "forgotten": "pause, terminée par sa limite de durée",
    "mask": "masqué après l’appel",
    "arm": "pas encore demandé",
    "wait": "consentement attendu",
    "exclude": "exclu par la règle",
    "end": "enregistrement terminé",
    "gap": "rien reçu",
    "files": "Fichiers et empreintes (SHA-256)",
    "kind": "Nature",
    "size": "Octets",
    "plain": "du contenu",
    "cipher": "du fichier chiffré",
    "audio": "son",
    "transcript": "transcription",
    "subtitles": "sous-titres",
    "vcon": "conversation (vCon)",
    "chain": "Chaîne de preuve",
    "signed": "Signé par le site",
    "signed_is": "Ed25519, empreinte SHA-256 de la clé publique {key}. Manifeste établi le {at} (UTC).",
    "signed_closed": "Manifeste non ouvert : sa signature n’a pas été vérifiée ici. Clé publique du site : {key}.",
    "follows": "Position au journal",
    "follows_is": "écrit après la ligne {seq} de {process}.jsonl ({hash}…)",
    "line": "Inscrit au journal",
    "line_is": "ligne {seq} de {process}.jsonl nomme l’empreinte du manifeste",
    "line_none": "aucun journal n’a été présenté, ou aucune ligne ne nomme ce manifeste",
    "seal": "Scellé",
    "seal_is": "par le point de contrôle n° {seq}, signé le {at} (UTC)",
    "seal_none": "pas encore par un point de contrôle",
    "seal_stamp": "Journal horodaté",
    "seal_stamp_is": "point de contrôle n° {seq} : existait le {at} (UTC), selon {authority}",
    "stamp": "Manifeste horodaté",
    "stamp_is": "existait le {at} (UTC, ± {accuracy} s), selon {authority} ; politique {policy}, n° {serial}",
    "stamp_none": "pas d’horodatage vérifié",
    "clock": "Horloge du site",
    "clock_ahead": "en avance d’au moins {seconds} s sur celle de l’autorité : les heures dites par le site sont à "
    "corriger d’autant",
    "reading": "Comment lire ceci",
    "reading_is": "Une empreinte change dès qu’un octet change. Le manifeste signé énumère les empreintes, les "
    "pauses et leurs auteurs ; le journal est une chaîne dont chaque ligne porte l’empreinte de "
    "la précédente ; l’autorité d’horodatage, là où elle est nommée, est étrangère au site et atteste que "
    "manifeste et journal existaient à l’instant dit. Modifier un mot après coup exigerait de contrefaire ces "
    "signatures. Ce rapport n’établit pas l’identité des personnes qui parlent. X : docs/evidence.md.",
}
_EN = {
    "title": "Evidence report: telephone recording",
    "made": "Made on {at} (UTC) by checking offline, without trust in whoever presents it.",
    "intact": "INTACT",
    "altered": "ALTERED",
    "partial": "INTACT, CONTENT NOT OPENED",
    "says_intact": "Everything that was checked is as it was written. Files, signed manifest and journal agree.",
    "says_alone": "Everything that was checked is as it was written: the files are those of the signed manifest. "
    "No journal was presented here.",
    "says_partial": "Everything that was checked is as it was written. The manifest was not opened, for want of "
    "its key: the pauses are from the recorder’s own notes, and the content was not looked at.",
    "says_altered": "{count} deviation(s) found. The recording should not be produced without an explanation of each:",
    "says_elsewhere": "{count} deviation(s) concern other calls; see greffier verify.",
    "more": "… and {count} more.",
    "call": "Call",
    "site": "Site",
    "purpose": "Purpose (basis)",
    "when": "Start – end (UTC)",
    "duration": "Duration",
    "parties": "Parties (pseudonyms)",
    "channel": "channel {number}",
    "rule": "Decision to record",
    "models": "Text written by",
    "customer": "customer",
    "agent": "agent",
    "other": "other",
    "picture": "What was recorded",
    "closed": "The audio was not opened: only the marks are shown.",
    "caption": "Hatched: not in the recording. Grey: nothing was received. Numbers refer to the table.",
    "number": "No.",
    "from_to": "From – to",
    "what": "What",
    "by": "By",
    "why": "Reason",
    "nothing_absent": "Nothing is missing: no pause, no mask, no gap.",
    "pause": "pause",
    "forgotten": "pause, ended by its time limit",
    "mask": "masked after the call",
    "arm": "not yet asked for",
    "wait": "waiting for consent",
    "exclude": "excluded by rule",
    "end": "recording had ended",
    "gap": "nothing received",
    "files": "Files and digests (SHA-256)",
    "kind": "Kind",
    "size": "Bytes",
    "plain": "of the content",
    "cipher": "of the encrypted file",
    "audio": "audio",
    "transcript": "transcript",
    "subtitles": "subtitles",
    "vcon": "conversation (vCon)",
    "chain": "Chain of proof",
    "signed": "Signed by the site",
    "signed_is": "Ed25519, SHA-256 of the public key {key}. Manifest made on {at} (UTC).",
    "signed_closed": "Manifest not opened: its signature was not checked here. Public key of the site: {key}.",
    "follows": "Place in the journal",
    "follows_is": "written after line {seq} of {process}.jsonl ({hash}…)",
    "line": "Entered in the journal",
    "line_is": "line {seq} of {process}.jsonl names the digest of the manifest",
    "line_none": "no journal was presented, or no line of it names this manifest",
    "seal": "Sealed",
    "seal_is": "by checkpoint {seq}, signed on {at} (UTC)",
    "seal_none": "not yet by a checkpoint",
    "seal_stamp": "Journal timestamped",
    "seal_stamp_is": "checkpoint {seq}: existed on {at} (UTC), says {authority}",
    "stamp": "Manifest timestamped",
    "stamp_is": "existed on {at} (UTC, ± {accuracy} s), says {authority}; policy {policy}, no. {serial}",
    "stamp_none": "no timestamp that was checked",
    "clock": "Clock of the site",
    "clock_ahead": "at least {seconds} s ahead of the authority’s: the times that the site gives are to be corrected "
    "by as much",
    "reading": "How to read this",
    "reading_is": "A digest changes as soon as one byte changes. The signed manifest lists digests, pauses and "
    "who made them; the journal is a chain in which each line carries the digest of the line "
    "before; the timestamp authority, where one is named, is a stranger to the site and attests that "
    "manifest and journal existed at the instant said. To change one word afterwards would take forging these "
    "signatures. This report does not establish who the persons speaking are. Independent check "
    "with openssl, age and jq: docs/evidence.md.",
}
WORDS: Mapping[Language, Mapping[str, str]] = {Language.FR: _FR, Language.EN: _EN}
