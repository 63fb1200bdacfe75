"""Spanish abbreviations, by what a full stop behind them means. Without the stop, lower case, composed accents."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A title or an address never ends a sentence: a name follows («la Dra. Rojas», «Av. Providencia»).
NEVER_ENDS = _words(
    """
    sr sra srta sres sras srs dr dra dres dras drs dn dña da prof profa lic licda ing arq abg mtro mtra sto
    sta st mons fr gral cnel cap. tte pdte pdta hno hna av avda avd pje psje pza pl clle urb p.ej ej vs cf
    ca ee ff rr ss.mm
    """
)

# These want a number («núm. 5», «pág. 12», «No. 5»); before anything else the stop ends the sentence («No. Gracias»).
BEFORE_NUMBER = _words(
    """
    n no nº n° núm num nro pág pag págs pags pp p art arts cap caps fig figs tel teléf fono vol vols ed of
    ofic depto dpto dep int ext km ref cód cod lt lte mz bl piso
    """
)

# Behind these a single capital is a thing of its own («vitamina C. Además»), not the initial of a name.
BEFORE_LETTER = _words(
    """
    vitamina vitaminas tipo tipos zona zonas clase clases plan planes letra letras grupo grupos talla tallas
    opción opciones factor hepatitis omega complejo nivel serie paso y o e u
    """
)

# Behind these a single capital is an initial («doctora J. Rojas»).
BEFORE_INITIAL = _words(
    """
    señor señora señorita doctor doctora don doña profesor profesora san santa
    """
)
