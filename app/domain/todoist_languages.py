"""The words of dates in the languages that Todoist names in DATE_LANG, as English ones.

A text is translated only as a whole: one unknown word, and none of it is read. Months and weekdays are in their order,
with the short forms; ``0`` is a word that English leaves out.
"""

# ruff: noqa: RUF001 - Cyrillic letters that look like Latin ones

import re
from functools import cache

ENGLISH_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
ENGLISH_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WORD_TABLES: dict[str, tuple[str, str, str]] = {
    "de": (
        "januar/jänner/jan februar/feb märz/mär/mrz april/apr mai juni/jun juli/jul august/aug september/sep/sept"
        " oktober/okt november/nov dezember/dez",
        "montag/montags/mo dienstag/dienstags/di mittwoch/mittwochs/mi donnerstag/donnerstags/do freitag/freitags/fr"
        " samstag/samstags/sonnabend/sa sonntag/sonntags/so",
        "every=jeden/jede/jedes/alle day=tag/tage/tagen week=woche/wochen month=monat/monate/monats year=jahr/jahre"
        " daily=täglich weekly=wöchentlich monthly=monatlich yearly=jährlich today=heute tomorrow=morgen at=um"
        " 0=uhr/am/den of=des and=und starting=ab last=letzten/letzter until=bis workday=werktag/werktage/arbeitstag"
        " other=zweiten/zweite/zweites in=in",
    ),
    "fr": (
        "janvier/janv/jan février/févr/fév mars avril/avr mai juin juillet/juil août septembre/sept octobre/oct"
        " novembre/nov décembre/déc",
        "lundi/lundis/lun mardi/mardis/mar mercredi/mercredis/mer jeudi/jeudis/jeu vendredi/vendredis/ven"
        " samedi/samedis/sam dimanche/dimanches/dim",
        "every=chaque/tous/toutes day=jour/jours week=semaine/semaines month=mois year=an/ans/année/années"
        " daily=quotidien weekly=hebdomadaire monthly=mensuel yearly=annuel today=aujourd'hui/auj tomorrow=demain at=à"
        " 0=le/les of=du/de and=et until=jusqu'au last=dernier in=dans 1st=1er",
    ),
    "es": (
        "enero/ene febrero/feb marzo/mar abril/abr mayo/may junio/jun julio/jul agosto/ago septiembre/sep/sept"
        " octubre/oct noviembre/nov diciembre/dic",
        "lunes/lun martes miércoles/miercoles/mié jueves/jue viernes/vie sábado/sabado/sáb domingo/dom",
        "every=cada/todos/todas day=día/dia/días/dias week=semana/semanas month=mes/meses year=año/años"
        " daily=diario/diariamente weekly=semanal monthly=mensual yearly=anual today=hoy tomorrow=mañana"
        " 0=el/la/los/las of=de/del and=y at=a until=hasta last=último in=en",
    ),
    "it": (
        "gennaio/gen febbraio/feb marzo/mar aprile/apr maggio/mag giugno/giu luglio/lug agosto/ago settembre/set"
        " ottobre/ott novembre/nov dicembre/dic",
        "lunedì/lunedi/lun martedì/martedi mercoledì/mercoledi/mer giovedì/giovedi/gio venerdì/venerdi/ven"
        " sabato/sab domenica/dom",
        "every=ogni/tutti/tutte day=giorno/giorni week=settimana/settimane month=mese/mesi year=anno/anni"
        " daily=giornaliero weekly=settimanale monthly=mensile yearly=annuale today=oggi tomorrow=domani at=alle"
        " 0=il/i/gli/la/le of=del/di and=e in=tra",
    ),
    "pt": (
        "janeiro/jan fevereiro/fev março/mar abril/abr maio/mai junho/jun julho/jul agosto/ago setembro/set"
        " outubro/out novembro/nov dezembro/dez",
        "segunda/segunda-feira terça/terça-feira/ter quarta/quarta-feira quinta/quinta-feira sexta/sexta-feira"
        " sábado/sabado/sáb domingo/dom",
        "every=cada/todo/toda/todos/todas day=dia/dias week=semana/semanas month=mês/mes/meses year=ano/anos"
        " daily=diariamente weekly=semanalmente monthly=mensalmente yearly=anualmente today=hoje tomorrow=amanhã"
        " at=às 0=o/a/os/as of=de/do and=e until=até in=em",
    ),
    "nl": (
        "januari/jan februari/feb maart/mrt april/apr mei juni/jun juli/jul augustus/aug september/sep/sept"
        " oktober/okt november/nov december/dec",
        "maandag/ma dinsdag/di woensdag/wo donderdag/do vrijdag/vr zaterdag/za zondag/zo",
        "every=elke/elk/iedere/ieder day=dag/dagen week=week/weken month=maand/maanden year=jaar/jaren daily=dagelijks"
        " weekly=wekelijks monthly=maandelijks yearly=jaarlijks today=vandaag tomorrow=morgen at=om 0=uur/op/de"
        " of=van and=en"
        " until=tot starting=vanaf last=laatste in=over",
    ),
    "sv": (
        "januari/jan februari/feb mars/mar april/apr maj juni/jun juli/jul augusti/aug september/sep/sept oktober/okt"
        " november/nov december/dec",
        "måndag/mån tisdag/tis onsdag/ons torsdag/tors/tor fredag/fre lördag/lör söndag/sön",
        "every=varje/var day=dag week=vecka/veckor month=månad/månader year=år daily=dagligen weekly=veckovis"
        " monthly=månadsvis yearly=årligen today=idag tomorrow=imorgon at=kl/klockan 0=den/på and=och other=annan",
    ),
    "da": (
        "januar/jan februar/feb marts/mar april/apr maj juni/jun juli/jul august/aug september/sep oktober/okt"
        " november/nov december/dec",
        "mandag/man tirsdag/tir onsdag/ons torsdag/tor fredag/fre lørdag/lør søndag/søn",
        "every=hver/hvert day=dag week=uge/uger month=måned/måneder year=år daily=dagligt weekly=ugentligt"
        " monthly=månedligt yearly=årligt today=idag tomorrow=imorgen at=kl 0=den/på and=og other=anden/andet",
    ),
    "pl": (
        "stycznia/styczeń/sty lutego/luty/lut marca/marzec/mar kwietnia/kwiecień/kwi maja/maj czerwca/czerwiec/cze"
        " lipca/lipiec/lip sierpnia/sierpień/sie września/wrzesień/wrz października/październik/paź"
        " listopada/listopad/lis grudnia/grudzień/gru",
        "poniedziałek/pon wtorek/wt środa/środę/śr czwartek/czw piątek/pt sobota/sobotę/sob niedziela/niedzielę/nd",
        "every=co/każdy/każda/każdą/każde day=dzień/dni week=tydzień/tygodnie/tygodni month=miesiąc/miesiące/miesięcy"
        " year=rok/lata/lat daily=codziennie today=dzisiaj/dziś tomorrow=jutro at=o 0=w/we and=i",
    ),
    "ru": (
        "января/январь/янв февраля/февраль/фев марта/март/мар апреля/апрель/апр мая/май июня/июнь/июн июля/июль/июл"
        " августа/август/авг сентября/сентябрь/сен/сент октября/октябрь/окт ноября/ноябрь/ноя декабря/декабрь/дек",
        "понедельник/пн вторник/вт среда/среду/ср четверг/чт пятница/пятницу/пт суббота/субботу/сб воскресенье/вс",
        "every=каждый/каждую/каждое/каждые day=день/дня/дней week=неделя/неделю/недели/недель"
        " month=месяц/месяца/месяцев year=год/года/лет daily=ежедневно weekly=еженедельно monthly=ежемесячно"
        " yearly=ежегодно today=сегодня tomorrow=завтра 0=г/по and=и at=в",
    ),
}
# Languages that write signs: the days of a week from Monday with what stands around them, and whole phrases.
SIGN_TABLES: dict[str, tuple[str, str, str, str]] = {
    "ja": (
        "月火水木金土日",
        r"(?:毎週)?{}(?:曜日?)",
        "毎週",
        "毎日=every_day 毎週=every_week 毎月=every_month 毎年=every_year 今日=today 明日=tomorrow",
    ),
    "zh": (
        "一二三四五六日",
        r"每?(?:周|週|星期|礼拜|禮拜){}",
        "每",
        "每天=every_day 每日=every_day 每周=every_week 每週=every_week 每月=every_month 每年=every_year"
        " 今天=today 今日=today 明天=tomorrow 明日=tomorrow",
    ),
    "ko": (
        "월화수목금토일",
        r"(?:매주 ?)?{}요일",
        "매주",
        "매일=every_day 매주=every_week 매월=every_month 매년=every_year 오늘=today 내일=tomorrow",
    ),
}
_SIGN_DATE = re.compile(r"(?:(\d{4}) ?[年년] ?)?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일号號]")
_WORD_TOKEN = re.compile(r"(?<!\w)[^\W\d_]+(?:['’-][^\W\d_]+)*\.?(?!\w)")
_HOUR_FORM = re.compile(r"(?<![\d:])(\d{1,2})(?::(\d\d))? ?(?:uhr|h|u)(?:(\d\d))?(?!\w)")
_TWO_WORDS = re.compile(r"\bi (?=dag\b|morgen\b|morgon\b)")  # "i dag" is "idag"
_ORDINAL_MARK = re.compile(r"(?<!\w)(\d{1,2})(?:\.(?=[^\d]|$)|er\b|º|ª|-?го\b|e\b)")


def to_english(text: str, language: str) -> str | None:
    """Returns a text in lower case as English; None if one of its words is not known in ``language``."""
    language = re.split("[-_]", language.lower())[0]
    if language in {"", "en"}:
        return text
    if language in SIGN_TABLES:
        return _from_signs(text, language)
    table = _words_of(language)
    is_known = True

    def translate(found: re.Match[str]) -> str:
        nonlocal is_known
        word = found[0].rstrip(".").replace("’", "'")
        is_known = is_known and word in table
        return table.get(word, "")

    text = _TWO_WORDS.sub("i", text)
    text = _HOUR_FORM.sub(lambda found: f"{int(found[1]):02}:{found[2] or found[3] or '00'}", text)
    text = _WORD_TOKEN.sub(translate, _ORDINAL_MARK.sub(r"\1", text))
    text = re.sub(r"\bof (?=\d{4}\b)", "", " ".join(text.split()))
    return text if is_known and _is_plain(text) else None


def _is_plain(text: str) -> bool:
    """Returns whether all letters are those of English, attached to numbers as in 9am, or of an ISO time."""
    return text.isascii() and not re.search(r"\d(?!(?:[ap]\.?m|t\d|z)\b|t\d)[a-z]", text)


def _from_signs(text: str, language: str) -> str | None:
    days, around, every, phrases = SIGN_TABLES[language]

    def to_date(found: re.Match[str]) -> str:
        month = ENGLISH_MONTHS[int(found[2]) - 1] if 1 <= int(found[2]) <= 12 else "?"
        return f" {month} {found[3]} {found[1] or ''} "

    def to_weekday(found: re.Match[str]) -> str:
        sign = next(sign for sign in found[0].replace(every, "") if sign in days)
        return f" {'every ' if found[0].startswith(every) else ''}{ENGLISH_WEEKDAYS[days.index(sign)]} "

    text = _SIGN_DATE.sub(to_date, text)
    text = re.sub(around.format(f"[{days}]"), to_weekday, text.replace("天", "日") if language == "zh" else text)
    for phrase in phrases.split():
        sign, _, english = phrase.partition("=")
        text = text.replace(sign, f" {english.replace('_', ' ')} ")
    return " ".join(text.split()) if text.isascii() else None


@cache
def _words_of(language: str) -> dict[str, str]:
    """Returns the English of each word of a language; none of one that is not known."""
    if language not in WORD_TABLES:
        return {}
    months, weekdays, others = WORD_TABLES[language]
    pairs = [*zip(weekdays.split(), ENGLISH_WEEKDAYS, strict=True), *zip(months.split(), ENGLISH_MONTHS, strict=True)]
    found = {word: english for words, english in pairs for word in words.split("/")}
    for group in others.split():
        english, _, words = group.partition("=")
        found |= dict.fromkeys(words.split("/"), "" if english == "0" else english)
    return found
