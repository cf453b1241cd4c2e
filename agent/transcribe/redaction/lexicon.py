"""Words that redaction knows, folded (lower case, no accents): what fills a pause, what counts, what announces.

French and English together: an engine that hears French writes "ok" and "visa" all the same, and words that mean
something else in the other language are left out or told apart where they are used.
"""

from agent.transcribe.redaction.tables import table

FILLERS = table(
    """euh heu hum hm hmm mh mmh mhm ah eh ben bah bon alors donc voila et puis ensuite apres attendez attends attend
    oui ouais si accord ok okay parfait tres bien est ce cela ca je vous ecoute ecoutez dites dites-moi disais disons
    la le les pardon non excusez moi excuse repete repetez reprends recommence erreur trompe trompee suis me desole
    plutot barre slash
    merci il te plait allez y allons du coup hein enfin en fait note notez ai vais encore fini espace tiret pause aie
    zut
    um uh huh er erm hmm mm mhmm yeah yes yep right so well then and okay alright sure the it is that thats go ahead
    sorry no wait hold on uh please thank thanks you got i mean let me see next again say fine great good perfect ta
    actually space dash bear with my mistake rather correction like lovely"""
)
"""Words over which a number that is being read out goes on."""

CORRECTIONS = table("pardon non erreur trompe plutot correction sorry no wait mean rather mistake")
"""What follows takes the place of what was just said."""

RESTARTS = table("recommence reprends repete again repeat restart")

UNITS = table(
    """euro euros eur centime centimes dollar dollars livre livres franc francs pound pounds pence quid bucks
    € $ £ % pourcent pour percent an ans annee annees mois semaine semaines jour jours heure heures h minute minutes
    seconde secondes fois metre metres kilometre kilometres km kilo kilos kg gramme grammes litre litres degre degres
    giga gigas mega megas mo octets watts kilowatts kilowattheures chiffre chiffres personne personnes enfants pieces
    points degrees year years month months week weeks day days hour hours second seconds times time metre meters meter
    miles mile kilometers feet foot inches grams gram litres people digit digits percent pieces items boxes nights night
    nuit nuits o'clock clock pm am million millions milliard milliards billion thousand's points eme ieme
    lettres lettre letters caracteres characters kva working
    """
)
"""What comes after a number that counts something."""

MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "janvier january",
            "fevrier february",
            "mars march",
            "avril april",
            "mai may",
            "juin june",
            "juillet july",
            "aout august",
            "septembre september",
            "octobre october",
            "novembre november",
            "decembre december",
        ],
        1,
    )
    for name in names.split()
}

BEFORE_YEARS = table("en depuis annee annees since in fin debut jusqu year spring summer de from entre between to a")

HOMOPHONES = {
    "cette": "7", "cet": "7", "set": "7", "sete": "7", "wit": "8", "uit": "8", "huite": "8", "oui-t": "8",
    "saint": "5", "sain": "5", "sein": "5", "cinque": "5", "sink": "5", "dit": "10", "dis": "10", "disse": "10",
    "vin": "20", "vain": "20", "vint": "20", "catre": "4", "quatres": "4", "cat": "4", "neufs": "9", "si": "6",
    "sis": "6", "ci": "6", "troie": "3", "troi": "3", "hun": "1", "for": "4", "fore": "4", "to": "2", "too": "2",
    "ate": "8", "won": "1", "sex": "6", "tree": "3", "free": "3", "niner": "9", "fife": "5", "zero's": "0", "sicks":
    "6",
}  # fmt: skip
"""What engines write for a digit; it is one only where digits stand right before and after it."""
