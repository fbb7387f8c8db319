"""Any program's words for a state in which all is well again, in several languages.

``event --state`` is given whatever a script, a backup or a modem has to say, and a word that is not
taken for well leaves a ticket open. They stand here as severities.py compares them: small letters
and digits only, without accents or blanks; so ``rétabli`` is ``retabli``, and *back to normal* is
``backtonormal``. What may as well mean that something began (active, on, expired, stopped) is none;
nor is *back up*, since keepalived's BACKUP says that a router has taken over, or has lost its part.
"""

from __future__ import annotations

#: By language. French, Italian, Spanish and Portuguese words have their two genders.
_BY_LANGUAGE = {
    "en": """
        ok okay allok isok up isup hostup serviceup linkup good allgood fine well healthy
        upagain okagain isback everythingok green normal nominal stable online backonline
        onlineagain available availableagain
        reachable reachableagain responding responsive alive running operational working connected
        reconnected established ready insync synced synchronized synchronised inservice
        backinservice backtonormal backonline allclear noalarm noalarms noalert noerror
        noerrors noproblem noproblems nofault nofaults inactive deactivated deasserted deassert
        cleared clear clears alarmcleared alertcleared resolved resolve autoresolved
        solved solve closed close autoclosed
        recovered recovery recover restored restore restoral fixed repaired cured healed remedied
        rectified success successful successfully succeeded succeed completesuccess
        completedsuccessfully passed pass passing done complete completed finished ended end ceased
        cease returned returntonormal normalised normalized valid
    """,
    "fr": """
        normalise normalisee alertelevee alarmelevee alarmeterminee alerteterminee resorbe
        retabli retablie retablis retablies retablissement resolu resolue resolus resolues clos
        close cloture cloturee ferme fermee termine terminee fini finie findalarme
        findalerte reussi reussie reussite succes bon
        bonne correct correcte corrige corrigee repare reparee restaure restauree normal normale
        retouralanormale retournormal revenualanormale revenu revenue enligne disponible
        joignable accessible operationnel operationnelle fonctionnel fonctionnelle inactif
        inactive vert verte sain saine connecte connectee enservice enmarche toutvabien
        toutestok acheve achevee
    """,
    "de": """
        behoben gelost geloest erledigt geschlossen beendet beendigt wiederhergestellt
        erfolg erfolgreich gut normal verfugbar verfuegbar erreichbar wiedererreichbar
        wiederverfugbar inaktiv grun gruen inordnung allesok allesinordnung allesgut entwarnung
        bestanden abgeschlossen gesund repariert aufgehoben wiederok wiederonline
        wiederda funktioniert betriebsbereit verbunden fehlerfrei
    """,
    "es": """
        resuelto resuelta solucionado solucionada cerrado cerrada restaurado restaurada recuperado
        recuperada restablecido restablecida correcto correcta exito exitoso exitosa conexito
        terminado terminada finalizado finalizada completado completada normal verde enlinea
        disponible inactivo inactiva bien bueno operativo operativa reparado corregido superado
        alcanzable conectado
    """,
    "it": """
        risolto risolta chiuso chiusa ripristinato ripristinata riuscito riuscita successo
        completato completata terminato terminata normale verde inlinea disponibile inattivo
        inattiva buono bene recuperato rientrato rientrata operativo operativa superato superata
        raggiungibile riparato corretto connesso
    """,
    "pt": """
        resolvido resolvida solucionado encerrado encerrada fechado fechada restaurado restaurada
        recuperado recuperada restabelecido restabelecida sucesso comsucesso concluido concluida
        finalizado finalizada normal normalizado verde disponivel inativo inativa inactivo bom
        operacional corrigido reparado
    """,
    "nl": """
        opgelost hersteld gesloten afgesloten gelukt geslaagd normaal groen beschikbaar bereikbaar
        inactief beeindigd goed inorde voltooid gezond verholpen afgerond
    """,
    "pl": """
        rozwiazany rozwiazane rozwiazana rozwiązany zamkniety zamkniete przywrocony przywrocone
        sukces wnormie naprawiony naprawione dostepny nieaktywny zakonczony zakonczone dobry
        prawidłowy prawidlowy powodzenie normalny
    """,
    "hu": "megoldva helyreállt helyreállítva sikeres",
    "ro": "rezolvat remediat restabilit inchis reusit",
    "vi": "đãkhắcphục đãgiảiquyết",
    "ar he": "تمالحل נפתר תוקן",
    "cs": "vyreseno vyresen uzavreno uzavren obnoveno obnoven uspech uspesne vporadku neaktivni",
    "sv da nb": """
        atgardad aterstalld stangd lyckades lyckad klart avslutad normalt tillganglig inaktiv
        løst lukket genoprettet gjenopprettet avsluttet afsluttet vellykket tilgjengelig
        tilgængelig gronn grøn bra
    """,
    "fi": "ratkaistu korjattu suljettu palautunut onnistui normaali kunnossa",
    "tr": "cozuldu kapandi kapatıldı duzeldi basarili basarılı tamamlandı tamamlandi iyi",
    "el": "επιλυθηκε αποκατασταθηκε κλειστο επιτυχια κανονικο",
    "ru uk": """
        решено решена решен решён устранено устранен восстановлено восстановлен восстановлена
        закрыто закрыт успешно успех норма внорме ок доступен доступно неактивно неактивен завершено
        исправлено вирішено відновлено закрито успішно
    """,
    "ja": "正常 復旧 復旧済み 回復 解決 解決済み 解消 成功 完了 クローズ",
    "zh": "正常 恢复 已恢复 恢复正常 解决 已解决 成功 关闭 已关闭 完成",
    "zh-TW": "恢復 已恢復 恢復正常 解決 已解決 關閉 已關閉",
    "ko": "정상 복구 복구됨 해결 해결됨 성공 완료 종료",
}


def _folded() -> frozenset[str]:
    import unicodedata

    found = " ".join(_BY_LANGUAGE.values())
    # As a text is folded: what is written with accents is taken apart, too.
    plain = unicodedata.normalize("NFKD", found.casefold())
    return frozenset("".join(char for char in word if char.isalnum()) for word in plain.split())


WORDS = _folded()
