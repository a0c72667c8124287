%% @private What callers give, as the native layer takes it: texts are binaries of UTF-8, options are maps,
%% or for `open' pairs of texts, bodies are binaries.
-module(primer_options).

-export([text/1, texts/1, map/1, consuming/1, redriving/1, pairs/1, settings/1, settings_map/1, body/1, bodies/1]).

%% Bodies up to this size are copied into the member; a larger one is shared with it.
-define(COPY_MAX, 4096).

%% @doc A binary, an atom or a string. Errors: 101.
-spec text(term()) -> {ok, binary()} | {error, primer:error()}.
text(Text) when is_binary(Text) ->
    case unicode:characters_to_binary(Text) of
        Text -> {ok, Text};
        _ -> wrong(<<"a text is not UTF-8">>)
    end;
text(Text) when is_atom(Text) ->
    {ok, atom_to_binary(Text)};
text(Text) ->
    try unicode:characters_to_binary(Text) of
        Binary when is_binary(Binary) -> {ok, Binary};
        _ -> wrong(<<"a text is not UTF-8">>)
    catch
        error:_ -> wrong(<<"a text is a binary, an atom or a string">>)
    end.

%% @doc A list of texts. Errors: 101.
-spec texts(term()) -> {ok, [binary()]} | {error, primer:error()}.
texts(Texts) -> texts(Texts, []).

texts([Value | Rest], Texts) ->
    case text(Value) of
        {ok, Text} -> texts(Rest, [Text | Texts]);
        {error, _} = Error -> Error
    end;
texts([], Texts) ->
    {ok, lists:reverse(Texts)};
texts(_, _) ->
    wrong(<<"a list of texts does not end, or is none">>).

%% @doc Options of a verb. Errors: 101.
-spec map(term()) -> {ok, map()} | {error, primer:error()}.
map(Options) when is_map(Options) ->
    {ok, Options};
map(Options) ->
    try
        {ok, maps:from_list(Options)}
    catch
        error:_ -> wrong(<<"options are a map or a list of pairs">>)
    end.

%% @doc Options of a consumer, whose group is any text. Errors: 101.
-spec consuming(term()) -> {ok, map()} | {error, primer:error()}.
consuming(Options) -> with_text(group, map(Options)).

%% @doc Options of a redrive, whose queue is any text. Errors: 101.
-spec redriving(term()) -> {ok, map()} | {error, primer:error()}.
redriving(Options) -> with_text(to, map(Options)).

with_text(Key, {ok, Map}) when is_map_key(Key, Map) ->
    case text(maps:get(Key, Map)) of
        {ok, Text} -> {ok, Map#{Key := Text}};
        {error, {Hundred, Kind, Info}} -> {error, {Hundred, Kind, Info#{option => atom_to_binary(Key)}}}
    end;
with_text(_, Answer) ->
    Answer.

%% @doc The pairs that a member's options are made of. Errors: 101 with the option's name.
-spec pairs(term()) -> {ok, [{binary(), binary()}]} | {error, primer:error()}.
pairs(Options) when is_map(Options) -> pairs(maps:to_list(Options), []);
pairs(Options) -> pairs(Options, []).

pairs([{Key, Value} | Rest], Pairs) ->
    case text(Key) of
        {ok, Name} ->
            case value(Value) of
                {ok, Text} -> pairs(Rest, [{Name, Text} | Pairs]);
                {error, {Hundred, Kind, Info}} -> {error, {Hundred, Kind, Info#{option => Name}}}
            end;
        {error, _} = Error ->
            Error
    end;
pairs([], Pairs) ->
    {ok, lists:reverse(Pairs)};
pairs(_, _) ->
    wrong(<<"options are a map or a list of pairs">>).

value(Value) when is_integer(Value) ->
    {ok, integer_to_binary(Value)};
value([First | _] = Values) when not is_integer(First) ->
    case texts(Values) of
        {ok, Texts} -> {ok, iolist_to_binary(lists:join(<<",">>, Texts))};
        {error, _} = Error -> Error
    end;
value(Value) ->
    text(Value).

%% @doc The pairs that a queue's settings are made of: `undefined' unsets one. Errors: 101 with the setting's name.
-spec settings(term()) -> {ok, [{binary(), binary()}]} | {error, primer:error()}.
settings(Settings) ->
    case map(Settings) of
        {ok, Map} -> pairs(maps:map(fun(_, Value) -> unset(Value) end, Map));
        {error, _} = Error -> Error
    end.

unset(undefined) -> <<>>;
unset(Value) -> Value.

%% @doc Settings by the names that {@link settings/1} takes, numbers as such. What only a later version knows keeps
%% its name as a binary.
-spec settings_map([{binary(), binary()}]) -> primer:settings().
settings_map(Pairs) -> maps:from_list([setting(Key, Value) || {Key, Value} <- Pairs]).

setting(Key, Value) ->
    Words = [on_short, dead_letters, overflow, paused],
    Numbers = [
        copies, enqueue_timeout_ms, lease_ms, max_attempts, ttl_ms, backoff_ms, backoff_ms_max, messages_max, bytes_max,
        takeover_after_ms, key_concurrency
    ],
    case {named(Key, Words), named(Key, Numbers)} of
        {[Name], _} -> {Name, Value};
        {_, [Name]} -> {Name, binary_to_integer(Value)};
        _ -> {Key, Value}
    end.

named(Key, Names) -> [Name || Name <- Names, atom_to_binary(Name) =:= Key].

%% @doc A body. `badarg' for what is no iodata.
-spec body(iodata()) -> binary().
body(Body) when is_binary(Body), byte_size(Body) =< ?COPY_MAX ->
    Body;
body(Body) when is_binary(Body) ->
    %% It will be shared: a small part of a large binary would keep all of it.
    case binary:referenced_byte_size(Body) > 2 * byte_size(Body) of
        true -> binary:copy(Body);
        false -> Body
    end;
body(Body) ->
    %% Flattened here because this function gives way to other processes, however long the list.
    iolist_to_binary(Body).

%% @doc Several. Mostly they are as they should be: then the list is passed on as it is.
-spec bodies([iodata()]) -> [binary()].
bodies(Bodies) ->
    case are_small_binaries(Bodies) of
        true -> Bodies;
        false -> [body(Body) || Body <- Bodies]
    end.

are_small_binaries([Body | Bodies]) when is_binary(Body), byte_size(Body) =< ?COPY_MAX ->
    are_small_binaries(Bodies);
are_small_binaries(Rest) ->
    Rest =:= [].

wrong(Reason) ->
    {error, {wrong_call, invalid_argument, #{number => 101, reason => Reason}}}.
