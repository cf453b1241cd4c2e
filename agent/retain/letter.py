"""A summary in French that may be pasted into the answer to a person: what was asked, what was done, what stays, why.

Pure. It names no number and no other party; whoever sends it adds name and address.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from agent.model.person import Fate, Right
from agent.retain.dossier import CallDossier, fate
from agent.retain.page import Facts
from agent.retain.words import FRENCH, Words

_SUBJECT = {
    Right.FIND: "Confirmation des traitements vous concernant (RGPD, art. 15, § 1)",
    Right.ACCESS: "Exercice de votre droit d'accès (RGPD, art. 15)",
    Right.ERASE: "Exercice de votre droit à l'effacement (RGPD, art. 17)",
    Right.RESTRICT: "Exercice de votre droit à la limitation du traitement (RGPD, art. 18)",
    Right.LIFT: "Levée de la limitation du traitement (RGPD, art. 18, § 3)",
    Right.OBJECT: "Exercice de votre droit d'opposition (RGPD, art. 21)",
}
_DONE = {
    Right.FIND: "Vous trouverez ci-dessous les enregistrements d'appels conservés à votre sujet.",
    Right.ACCESS: "L'archive jointe contient les données conservées à votre sujet ; sa page « index.html » en donne la "
    "liste, les finalités, les durées de conservation et les destinataires. Les paroles des autres participants, qui "
    "les concernent, n'y figurent pas (art. 15, § 4).",
    Right.ERASE: "Les données que rien n'oblige à conserver sont effacées, et les destinataires auxquels elles avaient "
    "été transmises ont reçu l'ordre de les détruire (art. 19).",
    Right.RESTRICT: "À compter de ce jour, les données conservées à votre sujet ne sont plus utilisées, ni transmises, "
    "ni effacées, jusqu'à la levée de cette limitation, dont vous serez informé au préalable (art. 18, § 3).",
    Right.LIFT: "La limitation est levée : les données sont de nouveau utilisées pour les finalités ci-dessous et "
    "effacées à leur échéance.",
    Right.OBJECT: "Votre numéro figure désormais sur la liste des numéros dont les appels ne sont pas enregistrés. "
    "Seule une empreinte chiffrée du numéro y est conservée. Les enregistrements antérieurs, s'il en existe, sont "
    "indiqués ci-dessous ; vous pouvez en demander l'effacement.",
}


def letter(calls: Sequence[CallDossier], facts: Facts, *, waiting: bool = False) -> str:
    """The whole text. `waiting`: a second person has to confirm before it is done."""
    words = Words(FRENCH, facts.zone)
    return "\n".join(_lines(calls, facts, words, waiting=waiting)) + "\n"


def _lines(calls: Sequence[CallDossier], facts: Facts, words: Words, *, waiting: bool) -> Iterator[str]:
    request = facts.request
    yield facts.controller or "[responsable de traitement]"
    yield f"Contact : {facts.contact or '[délégué à la protection des données]'}"
    yield ""
    yield f"Objet : {_SUBJECT[request.right]}"
    if request.reference:
        yield f"Votre référence : {request.reference}"
    yield f"Notre référence : {facts.site}/{request.number}"
    yield f"Demande enregistrée le {words.at(request.at_ns)} ; état au {words.at(facts.now_ns)}"
    yield ""
    yield "Madame, Monsieur,"
    yield ""
    done = "La demande est enregistrée et attend une seconde validation." if waiting else _DONE[request.right]
    yield done if calls or request.right in (Right.OBJECT, Right.RESTRICT) else _nothing(request.right)
    yield ""
    if calls:
        yield f"Appels concernés : {len(calls)}"
        for call in calls:
            yield from _call(call, facts, words)
        yield ""
        yield from _summary(calls, facts, words)
    yield "Nous ne connaissons votre numéro que sous la forme d'une empreinte chiffrée ; le journal de ce système, qui"
    yield "prouve ce qui a été fait, ne contient ni numéro ni parole. Vous pouvez introduire une réclamation auprès de"
    yield "la CNIL (www.cnil.fr)."


def _nothing(right: Right) -> str:
    more = " : il n'y avait rien à effacer" if right is Right.ERASE else ""
    return f"Aucun enregistrement d'appel n'est conservé à votre sujet dans ce système{more}."


def _call(call: CallDossier, facts: Facts, words: Words) -> Iterator[str]:
    yield f"- Appel du {words.at(call.call.started_ns)} ({call.call.duration_samples / 8000:.0f} s)"
    for name in call.purposes(facts.purposes):
        what, why = fate(call, name, facts.purposes.get(name))
        said = words.fate(what, why)
        if what not in (Fate.ERASED, Fate.NONE):
            said += f" ; échéance : {words.day(call.until_ns(name))}"
        left = sorted({p.artifact.destination for p in call.of(name) if p.left and p.artifact.destination})
        if left:
            ended = all(p.ended_ns is not None for p in call.of(name) if p.left)
            gone = ", qui l'a détruit" if ended else ", qui a reçu l'ordre de le détruire"
            said += f" ; transmis à {', '.join(left)}{gone if what is Fate.ERASED else ''}"
        yield f"    {words.say(name)} : {said}"


def _summary(calls: Sequence[CallDossier], facts: Facts, words: Words) -> Iterator[str]:
    """How many of each fate, so that the letter may go without the list."""
    fates = Counter(
        words.fate(*fate(call, name, facts.purposes.get(name)))
        for call in calls
        for name in call.purposes(facts.purposes)
    )
    yield "En résumé :"
    for said, many in sorted(fates.items()):
        yield f"- {many} × {said}"
    yield ""
