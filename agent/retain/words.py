"""The words of letters and archives for persons, in French and in English. Pure."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from agent.model.person import Fate

FRENCH, ENGLISH = "fr", "en"


@dataclass(frozen=True, slots=True)
class Words:
    """All that is said in one language."""

    language: str
    zone: ZoneInfo

    def at(self, ns: int | None) -> str:
        """A day and time on the clocks of the site."""
        if ns is None:
            return "–"
        moment = datetime.fromtimestamp(ns / 1e9, self.zone)
        return moment.strftime("%d/%m/%Y à %H:%M" if self.language == FRENCH else "%Y-%m-%d %H:%M")

    def day(self, ns: int | None) -> str:
        """A day; where there is none, that nothing fixes it here."""
        if ns is None:
            return self.say("not fixed here")
        moment = datetime.fromtimestamp(ns / 1e9, self.zone)
        return moment.strftime("%d/%m/%Y" if self.language == FRENCH else "%Y-%m-%d")

    def say(self, words: str) -> str:
        """English words in this language; a word without a translation stays."""
        return words if self.language == ENGLISH else _FRENCH.get(words, words)

    def fate(self, fate: Fate, why: str) -> str:
        """What became of a purpose of a call."""
        reason = self.say(why) if why else ""
        return self.say(_FATES[fate]).format(why=reason)


_FATES = {
    Fate.NONE: "nothing is kept",
    Fate.KEPT: "kept: its basis is {why}",
    Fate.HELD: "kept for now: {why} comes first; erased when it ends",
    Fate.PENDING: "being erased; nothing of it is sent any more",
    Fate.ERASED: "erased",
    Fate.UNKNOWN: "kept: its purpose is not configured here any more",
    Fate.STAYS: "kept: its basis is {why}",
}
_FRENCH = {
    "nothing is kept": "rien n'est conservé",
    "kept: its basis is {why}": "conservé : le fondement du traitement est « {why} »",
    "kept for now: {why} comes first; erased when it ends": "conservé provisoirement : {why} ; effacé dès sa levée",
    "being erased; nothing of it is sent any more": "effacement en cours ; plus rien n'en est transmis",
    "erased": "effacé",
    "kept: its purpose is not configured here any more": "conservé : cette finalité n'est plus configurée sur ce site",
    "not fixed here": "non fixée sur ce site",
    "legal hold": "mesure de conservation pour la constatation, l'exercice ou la défense de droits en justice",
    "restriction": "limitation du traitement en vigueur",
    "contract": "contrat",
    "contract / legal obligation": "contrat / obligation légale",
    "legal obligation": "obligation légale",
    "legitimate interest": "intérêt légitime",
    "consent": "consentement",
    "evidence": "preuve",
    "training": "formation",
    "analytics": "analyse",
    "customer": "client",
    "agent": "agent",
    "other": "autre participant",
    "inbound": "entrant",
    "outbound": "sortant",
    "audio": "enregistrement sonore",
    "transcript": "transcription",
    "subtitles": "sous-titres",
    "vcon": "conversation (vCon)",
    "manifest": "procès-verbal technique",
    "What is kept about you": "Données conservées à votre sujet",
    "This archive holds what this recording system keeps about calls in which your telephone number took part. "
    "It holds your own voice and your own words; those of the other parties are theirs and are not in it "
    "(GDPR art. 15 (4)).": "Cette archive contient ce que ce système d'enregistrement conserve des appels auxquels "
    "votre numéro de téléphone a participé. Elle contient votre voix et vos paroles ; celles des autres participants "
    "les concernent et n'y figurent pas (RGPD, art. 15, § 4).",
    "Controller": "Responsable de traitement",
    "Contact": "Contact",
    "Your request": "Votre demande",
    "As of": "État au",
    "Purposes": "Finalités",
    "Purpose": "Finalité",
    "Basis": "Fondement",
    "Received by": "Destinataires",
    "nobody outside this site": "aucun hors de ce site",
    "Kept here": "Conservation sur ce site",
    "Kept at the centre": "Conservation centrale",
    "days": "jours",
    "Call": "Appel",
    "Began": "Début",
    "Duration": "Durée",
    "Direction": "Sens",
    "Queue": "File d'attente",
    "You were": "Votre rôle",
    "Use is restricted": "L'utilisation est limitée",
    "Why it was recorded": "Motif de l'enregistrement",
    "Pauses": "Pauses",
    "from": "de",
    "to": "à",
    "Consent": "Consentement",
    "What there is": "Ce qui existe",
    "Goes on": "Effacé le",
    "Sent on": "Transmis le",
    "File": "Fichier",
    "not in this archive": "non joint",
    "the same words as the transcript": "mêmes paroles que la transcription",
    "the same as audio and transcript": "même contenu que le son et la transcription",
    "a technical record of the call, whose facts are told above": "relevé technique dont les faits figurent ci-dessus",
    "its readers' key was not at hand": "la clé de ses lecteurs n'était pas disponible",
    "it is no longer here, but at its destination": "ne se trouve plus ici, mais chez son destinataire",
    "the person has no channel of its own": "votre voix n'y a pas de voie distincte",
    "several voices were mixed into this channel": "plusieurs voix y sont mêlées",
    "others spoke on this line, and time was cut out of the recording": "d'autres ont parlé sur cette ligne, et des "
    "passages ont été retirés",
    "it is no transcript that can be read": "transcription illisible",
    "it is no audio that can be read": "son illisible",
    "there is no sound in it": "aucun son",
    "it is not what was filed": "ne correspond pas à ce qui a été enregistré",
    "An encrypted capture of the call is kept until": "Une capture chiffrée de l'appel est conservée jusqu'au",
    "You may ask for rectification, erasure or restriction, object, and complain to the supervisory authority (in "
    "France: CNIL, www.cnil.fr).": "Vous pouvez demander la rectification, l'effacement ou la limitation, vous opposer "
    "au traitement, et introduire une réclamation auprès de la CNIL (www.cnil.fr).",
    "No decision about you is taken by automatic means alone.": "Aucune décision vous concernant n'est prise sur le "
    "seul fondement d'un traitement automatisé.",
    "The number is on the list of those whose calls are not recorded": "Votre numéro figure sur la liste de ceux dont "
    "les appels ne sont pas enregistrés",
    "yes": "oui",
    "no": "non",
    "Requests so far": "Demandes enregistrées",
}
