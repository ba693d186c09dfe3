//! Every text of the pages, in both languages, in one table.

/// A language of the pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// 日本語
    Japanese,
    /// English
    English,
}

impl Language {
    /// The code in `lang=` and in the cookie.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Language::Japanese => "ja",
            Language::English => "en",
        }
    }

    /// Reads a code; anything else is no language of ours.
    pub(crate) fn parse(code: &str) -> Option<Self> {
        match code {
            "ja" => Some(Language::Japanese),
            "en" => Some(Language::English),
            _ => None,
        }
    }

    /// The language of an `Accept-Language` header (RFC 9110 12.5.4): the one of ours with the
    /// highest weight, the earlier one of two equals, English when none is named.
    pub(crate) fn accepted(header: &str) -> Self {
        let mut best = (Language::English, 0.0_f32);
        for range in header.split(',') {
            let mut parts = range.split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.trim().strip_prefix("q=")?.parse::<f32>().ok())
                .unwrap_or(1.0);
            let primary = tag.split('-').next().unwrap_or_default();
            if let Some(language) = Language::parse(primary)
                && weight > best.1
            {
                best = (language, weight);
            }
        }
        best.0
    }

    /// The one to switch to.
    pub(crate) const fn other(self) -> Self {
        match self {
            Language::Japanese => Language::English,
            Language::English => Language::Japanese,
        }
    }

    /// Its table.
    pub(crate) const fn texts(self) -> &'static Texts {
        match self {
            Language::Japanese => &JAPANESE,
            Language::English => &ENGLISH,
        }
    }
}

macro_rules! texts {
    ($($key:ident: $ja:literal, $en:literal;)+) => {
        /// The texts of one language: a field per key, so a page cannot name one that is missing.
        #[derive(Debug)]
        pub(crate) struct Texts { $(pub(crate) $key: &'static str,)+ }

        const JAPANESE: Texts = Texts { $($key: $ja,)+ };
        const ENGLISH: Texts = Texts { $($key: $en,)+ };

        impl Texts {
            /// The text of a key put together at run time (`result_busy`, `cause_17`).
            pub(crate) fn find(&self, key: &str) -> Option<&'static str> {
                match key { $(stringify!($key) => Some(self.$key),)+ _ => None }
            }
        }

        #[cfg(test)]
        const TABLE: &[(&str, &str, &str)] = &[$((stringify!($key), $ja, $en),)+];
    };
}

impl Texts {
    /// The text of `{prefix}_{word}`, or the word itself where the table has none: a word that
    /// a newer node wrote is shown as it is.
    pub(crate) fn word(&self, prefix: &str, word: &str) -> String {
        self.find(&format!("{prefix}_{word}")).map_or_else(|| word.to_owned(), str::to_owned)
    }

    /// A Q.850 cause in words; `None` for 0 and for causes nobody meets.
    pub(crate) fn cause(&self, q850: u8) -> Option<&'static str> {
        self.find(&format!("cause_{q850}"))
    }
}

texts! {
    product: "Tensou", "Tensou";
    tagline: "電話転送システム", "Call forwarding";
    skip: "本文へ移動", "Skip to content";
    nav: "メニュー", "Menu";
    nav_live: "ライブ", "Live board";
    nav_cdrs: "通話記録", "Call records";
    nav_route: "転送テスト", "Route check";
    nav_dids: "番号 (DID)", "Numbers";
    nav_customers: "お客様", "Customers";
    nav_groups: "代表組", "Hunt groups";
    nav_extensions: "内線", "Extensions";
    nav_trunks: "回線", "Trunks";
    nav_calls_heading: "通話", "Calls";
    nav_setup_heading: "設定", "Provisioning";
    api_docs: "API 文書", "API docs";
    sign_in: "サインイン", "Sign in";
    sign_out: "サインアウト", "Sign out";
    user_name: "ユーザー名", "User name";
    password: "パスワード", "Password";
    sign_in_failed: "ユーザー名またはパスワードが違います。", "Wrong user name or password.";
    sign_in_limited: "失敗が続いたため、しばらく受け付けません。数分後にやり直してください。", "Too many failures. Please wait a few minutes and try again.";
    first_run: "はじめての起動ですか？ 管理者の名前と一度だけ表示されるパスワードは、起動した端末に出力されています。", "First start? The administrator's name and one-time password were printed on the terminal where the server was started.";
    language: "言語", "Language";
    switch_language: "English", "日本語";
    live_connected: "接続中", "Live";
    live_connecting: "接続しています…", "Connecting…";
    live_lost: "切断されました。再接続しています…", "Connection lost. Reconnecting…";
    alarm_database: "データベースが応答しません。通話は続いています。", "The database does not answer. Calls go on.";
    alarm_records: "通話記録がデータベースへの書き込みを待っています。", "Call records wait for the database.";
    alarm_full: "ジャーナルのディスクに空きがありません。新しい通話は受け付けません。", "The journal's disk is full. New calls are refused.";
    alarm_failing: "ジャーナルに書き込めません。新しい通話は受け付けません。", "The journal cannot be written. New calls are refused.";
    live_needs_script: "この画面の自動更新には JavaScript が必要です。", "JavaScript is needed for this page to update itself.";
    full_screen: "全画面", "Full screen";
    now_talking: "通話中", "Talking";
    now_ringing: "呼出中", "Ringing";
    now_channels: "使用チャネル", "Channels in use";
    now_phones: "登録中の内線", "Phones registered";
    answer_rate: "応答率（直近）", "Answer rate, recent";
    answered_of: "応答 / 終了", "answered / ended";
    calls_now: "現在の通話", "Calls now";
    calls_none: "現在、通話はありません。", "No calls right now.";
    calls_none_hint: "DID に着信すると、ここに表示されます。", "A call to one of your numbers appears here as it rings.";
    calls_hidden: "件は表示していません（新しい順に 200 件まで）", "more not shown (the newest 200 are)";
    ended_recently: "最近終わった通話", "Recently ended";
    ended_none: "まだ終わった通話はありません。", "No call has ended yet.";
    trunks_now: "回線の使用状況", "Trunk channels";
    trunks_none: "回線がまだ登録されていません。", "No trunks are provisioned yet.";
    registrations_now: "登録中の内線電話", "Registered phones";
    registrations_none: "登録中の内線電話はありません。", "No phone is registered.";
    unlimited: "無制限", "unlimited";
    channels_free: "空き", "free";
    hang_up: "切断", "Hang up";
    hang_up_ask: "この通話を切断しますか？ 両者の通話が直ちに終わります。", "End this call? Both sides are disconnected at once.";
    hang_up_failed: "切断できませんでした。", "The call could not be ended.";
    cancel: "キャンセル", "Cancel";
    state: "状態", "State";
    state_ringing: "呼出中", "Ringing";
    state_talking: "通話中", "Talking";
    state_started: "接続中", "Routing";
    leg_dialled: "発信中", "dialling";
    leg_ringing: "呼出中", "ringing";
    leg_talking: "通話", "talking";
    leg_answered: "応答", "answered";
    leg_ended: "終了", "gave up";
    caller: "発信者", "Caller";
    called: "着信番号", "Called";
    callees: "転送先", "Callees";
    customer: "お客様", "Customer";
    duration: "時間", "Duration";
    started: "開始", "Started";
    trunk: "回線", "Trunk";
    actions: "操作", "Actions";
    direction: "方向", "Direction";
    direction_in: "着信", "Incoming";
    direction_out: "発信", "Outgoing";
    direction_forward: "転送", "Forwarded";
    class_withheld: "非通知", "Withheld";
    class_payphone: "公衆電話", "Payphone";
    class_unavailable: "表示圏外", "Unavailable";
    result: "結果", "Result";
    result_answered: "応答", "Answered";
    result_no_answer: "無応答", "No answer";
    result_busy: "話中", "Busy";
    result_rejected: "拒否", "Rejected";
    result_cancelled: "途中放棄", "Caller gave up";
    result_unreachable: "不到達", "Unreachable";
    result_failed: "障害", "Failed";
    result_blocked: "着信拒否", "Blocked";
    ended_by: "切断側", "Ended by";
    ended_by_caller: "発信者", "Caller";
    ended_by_callee: "着信側", "Callee";
    ended_by_system: "システム", "System";
    answered_by: "応答者", "Answered by";
    search: "検索", "Search";
    search_clear: "条件をクリア", "Clear";
    filter_text: "番号・名前", "Number or text";
    filter_text_hint: "例: 03-1234-5678", "e.g. 03-1234-5678";
    filter_did: "着信番号 (DID)", "Called number (DID)";
    filter_from: "開始日", "From day";
    filter_to: "終了日", "To day";
    any: "すべて", "Any";
    csv: "CSV をダウンロード", "Download CSV";
    cdrs_none: "条件に合う通話記録はありません。", "No call record matches.";
    next_page: "次のページ", "Older";
    first_page: "最新に戻る", "Newest";
    bad_did: "着信番号が電話番号として読めません。", "The called number is not a telephone number.";
    bad_day: "日付は 2026-11-23 の形で入力してください。", "A day is written like 2026-11-23.";
    cdr_title: "通話記録", "Call record";
    cdr_ladder: "通話の流れ", "How it went";
    ringing_at: "呼出開始", "Ringing";
    answered_at: "応答", "Answered";
    ended_at: "終了", "Ended";
    talk_time: "通話時間", "Talk time";
    wait_time: "応答までの時間", "Time to answer";
    sip_status: "SIP 応答", "SIP status";
    cause: "切断理由", "Cause";
    node: "ノード", "Node";
    record_id: "記録 ID", "Record id";
    trunk_in: "着信回線", "Trunk in";
    legs: "呼び出した相手", "Callee legs";
    legs_none: "呼び出した相手はいません。", "Nobody was dialled.";
    dialled: "ダイヤル", "Dialled";
    presented: "通知番号", "Shown number";
    media_quality: "音声品質", "Media quality";
    media_received: "相手から", "From the phone";
    media_sent: "相手へ", "To the phone";
    media_packets: "パケット", "packets";
    media_lost: "損失", "lost";
    media_jitter: "ジッタ", "jitter";
    media_mos: "MOS", "MOS";
    id: "ID", "ID";
    name: "名前", "Name";
    number: "番号", "Number";
    route: "転送先", "Route";
    note: "備考", "Note";
    max_calls: "同時通話", "Max calls";
    presented_name: "表示名", "Shown name";
    closing_day: "締め日", "Closing day";
    closing_month_end: "月末", "month end";
    contacts: "連絡先", "Contacts";
    kana: "かな", "Reading";
    reseller: "代理店", "Reseller";
    channels: "チャネル", "Channels";
    peers: "接続先", "Peers";
    prefixes: "番号プレフィックス", "Prefixes";
    priority: "優先度", "Priority";
    enabled: "有効", "Enabled";
    disabled: "無効", "Disabled";
    strategy: "呼出方式", "Strategy";
    strategy_simultaneous: "一斉", "All at once";
    strategy_sequential: "順次", "One after another";
    strategy_single: "単独", "Single";
    members: "メンバー", "Members";
    ring_seconds: "呼出秒数", "Ring time";
    overflow: "あふれ先", "Overflow";
    ends_on_decline: "一人の拒否で終了", "Ends when one declines";
    presented_did: "発信時の通知番号", "Shown DID";
    registered: "登録中", "Registered";
    not_registered: "未登録", "Not registered";
    status: "登録状況", "Registration";
    did_state_free: "空き", "Free";
    did_state_reserved: "予約", "Reserved";
    did_state_active: "使用中", "Active";
    did_state_suspended: "停止中", "Suspended";
    did_state_quarantine: "休止期間", "Quarantine";
    list_none: "まだ登録がありません。", "Nothing is provisioned yet.";
    list_none_hint: "tensou import FILE または REST API で登録できます。", "Provision with “tensou import FILE” or the REST API.";
    list_more: "次のページ", "Next page";
    list_first: "先頭に戻る", "First page";
    route_title: "転送テスト", "Route check";
    route_lead: "実際に発信せずに、通話がどう扱われるかを確かめます。", "See what would happen to a call, without placing it.";
    route_from: "発信者番号", "Caller's number";
    route_from_hint: "空欄なら非通知", "empty: withheld";
    route_to: "着信番号 (DID)", "Called number (DID)";
    route_at: "日時", "At";
    route_at_hint: "空欄なら現在", "empty: now";
    route_run: "確認する", "Check";
    route_bad_from: "発信者番号が電話番号として読めません。", "The caller's number is not a telephone number.";
    route_bad_at: "日時を読めません。", "The date and time cannot be read.";
    route_refused: "この通話はすぐに断られます", "This call would be refused at once";
    route_step: "ステップ", "Step";
    route_origin_route: "経路", "Route";
    route_starts: "開始", "starts";
    route_rings: "呼出", "rings";
    route_seconds: "秒", "s";
    route_by: "回線", "by trunk";
    route_headers: "送信するヘッダー", "Headers sent";
    route_problem: "現在つながりません", "Cannot be dialled now";
    route_nobody: "誰も応答しないと、最後の結果が発信者に返ります。", "When nobody answers, the caller gets the best final response.";
    not_found: "ページが見つかりません", "Page not found";
    not_found_hint: "削除されたか、アドレスが違います。", "It was removed, or the address is wrong.";
    forbidden: "権限がありません", "Not allowed";
    forbidden_hint: "この操作には別の権限が必要です。", "Your role does not allow this.";
    server_error: "サーバーでエラーが起きました", "Something failed on the server";
    server_error_hint: "通話には影響ありません。しばらくしてからやり直してください。", "Calls are not affected. Please try again in a moment.";
    bad_request: "読み取れない入力です", "The input cannot be read";
    bad_request_hint: "前の画面に戻ってやり直してください。", "Go back and try again.";
    back_home: "ライブ画面へ", "To the live board";
    cause_1: "欠番", "Unallocated number";
    cause_3: "宛先への経路なし", "No route to destination";
    cause_16: "通常切断", "Normal clearing";
    cause_17: "相手話中", "User busy";
    cause_18: "相手端末の応答なし", "No user responding";
    cause_19: "呼出に応答なし", "No answer";
    cause_20: "電源断または圏外", "Subscriber absent";
    cause_21: "着信拒否", "Call rejected";
    cause_22: "番号変更", "Number changed";
    cause_26: "他の端末が応答", "Answered elsewhere";
    cause_27: "相手先故障", "Destination out of order";
    cause_28: "番号の形式が不正", "Invalid number format";
    cause_31: "通常、詳細不明", "Normal, unspecified";
    cause_34: "空きチャネルなし", "No channel available";
    cause_38: "網故障", "Network out of order";
    cause_41: "一時的な障害", "Temporary failure";
    cause_42: "交換機の輻輳", "Switch congestion";
    cause_47: "リソース不足", "Resource unavailable";
    cause_57: "サービス未許可", "Not authorised";
    cause_58: "サービス利用不可", "Bearer not available";
    cause_63: "サービス利用不可", "Service not available";
    cause_65: "未対応のサービス", "Bearer not implemented";
    cause_79: "未対応のサービス", "Service not implemented";
    cause_88: "端末の互換性なし", "Incompatible destination";
    cause_102: "タイマー満了", "Timer expired";
    cause_111: "プロトコルエラー", "Protocol error";
    cause_127: "相互接続、詳細不明", "Interworking, unspecified";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words that are the same in both languages.
    const SHARED: &[&str] = &["product", "media_mos", "id"];

    #[test]
    fn both_languages_have_every_key() {
        for (key, ja, en) in TABLE {
            assert!(!ja.trim().is_empty() && !en.trim().is_empty(), "{key}");
            assert_eq!(Language::Japanese.texts().find(key), Some(*ja));
            assert_eq!(Language::English.texts().find(key), Some(*en));
            assert_eq!(ja == en, SHARED.contains(key), "{key} is not translated");
            // The switch names the other language in that language.
            if *key != "switch_language" {
                assert!(en.is_ascii() || en.chars().all(|ch| (ch as u32) < 0x2100), "{key}");
            }
        }
    }

    #[test]
    fn the_browsers_favourite_language_of_ours_is_taken() {
        assert_eq!(Language::accepted("ja,en-US;q=0.9"), Language::Japanese);
        assert_eq!(Language::accepted("en-GB,en;q=0.9,ja;q=0.8"), Language::English);
        assert_eq!(Language::accepted("fr, ja-JP;q=0.4, en;q=0.2"), Language::Japanese);
        assert_eq!(Language::accepted("en;q=0, ja;q=0.1"), Language::Japanese);
        assert_eq!(Language::accepted("de"), Language::English);
        assert_eq!(Language::accepted(";;;q=x"), Language::English);
    }

    #[test]
    fn an_unknown_word_is_shown_as_it_is() {
        let texts = Language::English.texts();
        assert_eq!(texts.word("result", "no_answer"), "No answer");
        assert_eq!(texts.word("result", "teleported"), "teleported");
        assert_eq!(texts.cause(17), Some("User busy"));
        assert_eq!(texts.cause(0), None);
    }
}
