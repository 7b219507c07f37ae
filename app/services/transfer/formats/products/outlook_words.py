"""The words of Outlook's CSV of tasks in the languages of Office: headings, priorities, statuses, yes and no."""

# ruff: noqa: RUF001 - Cyrillic letters that look like Latin ones

from app.models.task_fields import TaskStatus


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split("/"))


# The first columns, in the order in which every language has them.
COLUMN_PLACES = (
    "subject", "start date", "due date", "reminder on", "reminder date", "reminder time", "date completed", "percent",
    "total work", "actual work",
)  # fmt: skip
_HEADING_WORDS = {
    "subject": "subject/betreff/objet/asunto/oggetto/onderwerp/assunto/temat/ämne/emne/aihe/předmět/тема/konu"
    "/tárgy/件名/主题/主旨/제목",
    "start date": "start date/beginnt am/startdatum/date de début/fecha de comienzo/fecha de inicio/data inizio"
    "/data di inizio/begindatum/data de início/data de começo/data rozpoczęcia/startdato/aloituspäivä/datum zahájení"
    "/дата начала/начало/başlangıç tarihi/開始日/开始日期/開始日期/시작 날짜",
    "due date": "due date/fällig am/fälligkeitsdatum/échéance/date d'échéance/fecha de vencimiento/vencimiento/scadenza"
    "/data scadenza/data di scadenza/einddatum/vervaldatum/data de vencimento/data para conclusão/prazo/termin"
    "/termin wykonania/data ukończenia/förfallodatum/forfaldsdato/forfallsdato/määräpäivä/termín splnění"
    "/termín dokončení/срок/срок выполнения/son tarih/期限/截止日期/到期日/기한",
    "reminder date": "reminder date/erinnerung am/erinnerungsdatum/date de rappel/date du rappel/fecha del aviso"
    "/fecha de aviso/data promemoria/herinneringsdatum/datum herinnering/data do lembrete/data przypomnienia"
    "/påminnelsedatum/påmindelsesdato/påminnelsesdato/muistutuspäivä/datum připomenutí/дата оповещения"
    "/дата напоминания/アラーム日付/提醒日期/미리 알림 날짜",
    "reminder time": "reminder time/erinnerung um/erinnerungszeit/heure du rappel/heure de rappel/hora del aviso"
    "/hora de aviso/ora promemoria/herinneringstijd/tijd herinnering/hora do lembrete/godzina przypomnienia"
    "/czas przypomnienia/påminnelsetid/påmindelsestidspunkt/påminnelsestidspunkt/muistutusaika/čas připomenutí"
    "/время оповещения/время напоминания/アラーム時刻/提醒时间/提醒時間/미리 알림 시간",
    "date completed": "date completed/erledigt am/date d'achèvement/terminé le/date de fin/fecha de finalización"
    "/fecha completado/data completamento/data di completamento/datum voltooid/voltooid op/data da conclusão"
    "/data de conclusão/data zakończenia/slutförd den/datum slutfört/slutfört/fuldført den/dato fuldført"
    "/fullført dato/valmistumispäivä/datum dokončení/дата завершения/tamamlanma tarihi/完了日/完成日期/완료 날짜",
    "percent": "% complete/% erledigt/% abgeschlossen/% achevé/% terminé/% completado/% completata/% completato"
    "/% completamento/% voltooid/% concluída/% concluído/% ukończenia/% wykonania/% slutfört/% fuldført/% fullført"
    "/% valmis/% dokončeno/% завершения/% завершено/% tamamlandı/達成率/完成百分比/% 完成/완료율",
    "total work": "total work/gesamtaufwand/travail total/trabajo total/lavoro totale/totale hoeveelheid werk"
    "/totaal werk/trabalho total/praca ogółem/totalt arbete/samlet arbejde/общий объем работы/総作業時間/全部工作",
    "actual work": "actual work/ist-aufwand/travail réel/trabajo real/lavoro effettivo/werkelijk werk"
    "/werkelijke hoeveelheid werk/trabalho real/trabalho efetivo/praca rzeczywista/faktiskt arbete/faktisk arbejde"
    "/фактический объем работы/実作業時間/实际工作",
    "billing information": "billing information/abrechnungsinformationen/informations facturation"
    "/información de facturación/dati fatturazione/factuurgegevens/informações para cobrança/informações de cobrança"
    "/informacje rozliczeniowe/faktureringsinformation",
    "categories": "categories/kategorien/catégories/categorías/categorie/categorieën/categorias/kategorie/kategorier"
    "/luokat/категории/kategoriler/分類項目/分類/类别/類別/범주",
    "companies": "companies/firmen/firma/sociétés/compañías/organizaciones/società/bedrijven/empresas/firmy/företag",
    "contacts": "contacts/kontakte/contactos/contatti/contactpersonen/contatos/kontakty/kontakter",
    "mileage": "mileage/reisekilometer/kilométrage/kilometraje/indennità trasferta/reisafstand/kilometragem"
    "/quilometragem/przebieg/reseersättning",
    "notes": "notes/notizen/beschreibung/remarques/notas/note/notities/anotações/notatki/anteckningar/noter/notater"
    "/muistiinpanot/poznámky/заметки/примечания/notlar/メモ/备注/附注/便笺/備註/메모/description/descripción"
    "/descrizione/beschrijving/descrição/opis",
    "priority": "priority/priorität/priorité/importance/prioridad/priorità/prioriteit/prioridade/priorytet/prioritet"
    "/prioriteetti/priorita/важность/приоритет/öncelik/優先度/优先级/優先順序/우선 순위",
    "private": "private/privat/privé/privado/privato/particular/prywatne/yksityinen/soukromé/частное/özel"
    "/プライベート/私有/私人/개인",
    "role": "role/rolle/rôle/rol/función/ruolo/função/rola/roll",
    "sensitivity": "sensitivity/vertraulichkeit/critère de diffusion/carácter/confidencialidad/riservatezza"
    "/gevoeligheid/sensibilidade/confidencialidade/charakter/poufność/känslighet/følsomhed/пометка/敏感度/秘密度",
    "status": "status/état/statut/estado/stato/stan/tila/stav/состояние/статус/durum/状態/进度状态/進捗状況/状态/狀態"
    "/상태",
}
COLUMN_HEADINGS = {word: name for name, words in _HEADING_WORDS.items() for word in _words(words)}
COLUMN_HEADINGS |= dict.fromkeys(  # which have slashes of their own
    (
        "reminder on/off", "erinnerung ein/aus", "rappel actif/inactif", "rappel activé/désactivé",
        "aviso activado/desactivado", "avisos sí/no", "promemoria attivato/disattivato", "promemoria sì/no",
        "herinnering aan/uit", "lembrete ativado/desativado", "lembrete ligado/desligado",
        "przypomnienie włączone/wyłączone", "przypomnienie wł./wył.", "påminnelse på/av", "påmindelse til/fra",
        "muistutus käytössä/ei käytössä", "připomenutí ano/ne", "оповещение вкл/выкл", "напоминание вкл/выкл",
        "anımsatıcı açık/kapalı", "アラーム オン/オフ", "提醒开/关", "提醒開啟/關閉", "미리 알림 켜기/끄기",
    ),
    "reminder on",
)  # fmt: skip


OFF_WORDS = _words(
    "/false/off/no/0/falsch/aus/nein/faux/non/inactif/falso/onwaar/uit/nee/falskt/av/falsk/fra/fałsz/nie/epätosi"
    "/nepravda/ne/ложь/нет/выкл/yanlış/偽/オフ/假/否/关/거짓/fals"
)
HIGH_WORDS = _words(
    "high/hoch/haute/élevée/alta/alto/hoog/wysoki/wysoka/hög/høj/høy/korkea/vysoká/высокая/высокий/yüksek/高/높음/2"
)
LOW_WORDS = _words(
    "low/niedrig/basse/faible/baja/bajo/bassa/basso/laag/baixa/niski/niska/låg/lav/matala/nízká/низкая/низкий/düşük/低"
    "/낮음/0"
)
_STATUS_LISTS = {
    TaskStatus.PENDING: "not started/nicht begonnen/non commencé/non commencée/no comenzada/no iniciada/non iniziata"
    "/non iniziato/niet gestart/niet begonnen/não iniciada/não iniciado/nie rozpoczęto/nierozpoczęte/inte påbörjad"
    "/ej påbörjad/ikke startet/ikke påbegyndt/ei aloitettu/nezahájeno/не начата/не начато/başlamadı/未開始/未开始"
    "/시작 안 함/0",
    TaskStatus.IN_PROGRESS: "in progress/in bearbeitung/en cours/en curso/in corso/wordt uitgevoerd/in behandeling"
    "/mee bezig/em andamento/em curso/w toku/w trakcie realizacji/pågår/pågående/i gang/käynnissä/kesken/probíhá"
    "/выполняется/в процессе/sürüyor/devam ediyor/進行中/进行中/진행 중/1",
    TaskStatus.COMPLETED: "completed/complete/erledigt/abgeschlossen/terminé/terminée/achevé/achevée/completada"
    "/completado/completata/completato/voltooid/concluída/concluído/zakończono/ukończono/zakończone/slutförd/slutfört"
    "/fuldført/fullført/valmis/dokončeno/завершена/завершено/tamamlandı/完了/已完成/완료됨/2",
    TaskStatus.WAITING: "waiting on someone else/waiting for someone else/wartet auf jemand anderen/wartet auf anderen"
    "/wartet auf jemanden/en attente/en attente de quelqu'un d'autre/a la espera de otra persona"
    "/esperando a otra persona/esperando otra persona/in attesa di qualcun altro/in attesa di altri"
    "/wacht op iemand anders/wachten op iemand anders/aguardando outra pessoa/à espera de outra pessoa"
    "/oczekiwanie na inną osobę/oczekuje na kogoś innego"
    "/väntar på någon annan/venter på andre/venter på en anden/odottaa toista henkilöä"
    "/čeká na někoho jiného/ожидание/в ожидании/ожидает кого-то другого/başkasını bekliyor/待機中/正在等待其他人"
    "/等待其他人/다른 사람 대기 중/deferred/zurückgestellt/aufgeschoben/différé/différée/aplazada/aplazado/diferida"
    "/posticipata/rinviata/rinviato/uitgesteld/adiada/adiado/odroczono/odłożone/uppskjuten/udskudt/utsatt/lykätty"
    "/odloženo/отложена/отложено/ertelendi/延期/已推迟/已延遲/지연됨/3/4",
}
STATUS_TEXTS = {word: status for status, words in _STATUS_LISTS.items() for word in _words(words)}
