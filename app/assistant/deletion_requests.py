"""Requests in a user's message to delete tasks or projects by their numbers.

A number alone means nothing: people write buy 3 eggs, at 3, on the 3rd. It counts in a clause that begins with a word
for deleting and goes on with the number (delete task 3 and #4), or ends with that word (Aufgabe 3 löschen). What is
not understood, in any language, is no request: then the user is asked.
"""

import re
import unicodedata

# One letter for each token of a message, by its words; N is a number and X any other token.
TOKEN_WORDS = {
    # words for deleting
    "V": """delete remove trash erase discard bin drop destroy lösche löschen entferne entfernen supprime supprimer
        supprimez efface effacer borra borrar elimina eliminar quita quitar apaga apagar exclua excluir remova remover
        cancella cancellare eliminare verwijder verwijderen usuń skasuj удали удалить видали видалити sil radera slet
        slett fjern poista smaž odstraň 删除 刪除 削除 삭제""",
    "H": "#",
    "C": ",",
    # words that join two numbers or two clauses
    "L": "and & or then also und oder dann et y e en och og i ja и та ve 和",
    # words around a request
    "P": """please pls kindly just now okay ok hey hi too thanks can could will would you want to bitte sofort danke
        merci favor пожалуйста""",
    # words before a number
    "F": """the my this these those that with number numbers no nr n ° º die der das den mit nummer la le les el los
        las il de""",
    # words that may follow a task or # and its number
    "T": "from because since as it for again instead permanently immediately forever weil car porque",
    "B": ". ; ! ? ( )",
    "task_id": """task tasks todo todos item items aufgabe aufgaben tâche tâches tarea tareas tarefa tarefas attività
        compito taak taken zadanie zadania задачу задача задачи завдання görev uppgift uppgiften opgave oppgave tehtävä
        úkol 任务 任務 タスク 작업""",
    "project_id": """project projects projekt projekte projet proyecto projeto progetto проект proje prosjekt 项目 專案
        プロジェクト 프로젝트""",
    "not": """not never nicht kein keine nie niemals pas jamais nunca jamás não niet nooit не никогда inte ikke 不 别
        別""",
}
LETTER_OF_WORD = {word: letter for letter, words in TOKEN_WORDS.items() for word in words.split()} | {"\n": "B"}

_QUOTED_PARTS = re.compile(
    '"[^"]*"|\u201c[^\u201d]*\u201d|\u201e[^\u201c\u201d]*[\u201c\u201d]|«[^»]*»|`[^`]*`|^>.*$', re.MULTILINE
)
_DELETE_PHRASES = re.compile("get rid of|throw away|ta bort")
_WORDS_WITHOUT_SPACES = re.compile("|".join(word for word in LETTER_OF_WORD if ord(word[0]) > 0x2E80))
_MESSAGE_TOKEN = re.compile(r"\d+(?:[.,:/]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|\S|\n")
_CLAUSE_BEGIN, _NAMED_NUMBER = r"(?:^|(?<=[BCLP]))", "(?:KF*)?(?:HF*)?N"
_NUMBER_LIST = rf"F*{_NAMED_NUMBER}(?:[CL]+F*{_NAMED_NUMBER})*"
REQUEST_PATTERNS = (
    re.compile(rf"{_CLAUSE_BEGIN}V({_NUMBER_LIST})(?=[BP]|$)"),
    # with a word or a sign that says what the number is
    re.compile(rf"{_CLAUSE_BEGIN}V(F*(?=[KH]){_NUMBER_LIST})(?=[BCLPT]|$)"),
    re.compile(rf"{_CLAUSE_BEGIN}({_NUMBER_LIST})P*V(?=[BCLPT]|$)"),
)


def find_numbers_to_delete(message: str, kind: str) -> set[int]:
    """Returns the numbers that ``message`` asks to delete; ``kind`` is task_id or project_id."""
    text = unicodedata.normalize("NFC", message).casefold().replace("\u2019", "'")
    text = _DELETE_PHRASES.sub("delete", _QUOTED_PARTS.sub(" ", text))
    tokens = _MESSAGE_TOKEN.findall(_WORDS_WITHOUT_SPACES.sub(r" \g<0> ", text))
    if any(LETTER_OF_WORD.get(token) == "not" or token.endswith("n't") for token in tokens):
        return set()
    letters = "".join(_letter(token, kind) for token in tokens)
    found = set()
    for pattern in REQUEST_PATTERNS:
        for match in pattern.finditer(letters):
            if kind == "task_id" or "K" in match[1]:  # a number alone is that of a task
                found |= {int(tokens[at]) for at in range(match.start(1), match.end(1)) if letters[at] == "N"}
    return found


def _letter(token: str, kind: str) -> str:
    if token.isdigit():
        return "N" if token.isascii() and token[0] != "0" and len(token) < 20 else "X"
    letter = LETTER_OF_WORD.get(token, "X")
    return "K" if letter == kind else letter if len(letter) == 1 else "X"
