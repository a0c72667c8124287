%% @doc The scenario language of tests/conformance, read into steps: the same cuts and the same shapes
%% as the Rust parser, so that a slip of the pen is an error with its line.
-module(primer_scenario).

-export([files/0, parse/2]).
-export_type([step/0, word/0]).

%% {Key | none, Value, IsText}: IsText for a word in quotes or `bytes:N'.
-type word() :: {none | binary(), binary(), boolean()}.
-type step() :: #{
    line := pos_integer(),
    verb := binary(),
    args := [word()],
    options := [word()],
    expect := [[word()]]
}.

%% @doc Every scenario file, sorted. The folder is looked for upwards from this file.
-spec files() -> [file:filename()].
files() ->
    Folder = folder(filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile)))),
    lists:sort(filelib:wildcard(filename:join(Folder, "*.scn"))).

folder(Directory) ->
    Folder = filename:join([Directory, "tests", "conformance", "scenarios"]),
    case {filelib:is_dir(Folder), filename:dirname(Directory)} of
        {true, _} -> Folder;
        {false, Directory} -> error(no_scenarios);
        {false, Parent} -> folder(Parent)
    end.

%% @doc The steps of a file's text.
-spec parse(string(), binary()) -> [step()].
parse(Name, Text) ->
    Lines = lists:zip(lists:seq(1, length(lines(Text))), lines(Text)),
    case lists:append([step(Name, Number, Line) || {Number, Line} <- Lines]) of
        [] -> error({Name, 1, no_step_at_all});
        Steps -> Steps
    end.

lines(Text) ->
    binary:split(Text, <<"\n">>, [global]).

step(Name, Number, Line) ->
    try cut(Line, {none, <<>>, false}, [], #{quoted => false, expects => false}) of
        [] ->
            [];
        [{none, Verb, false} | Words] ->
            Step = sort(Words, #{line => Number, verb => Verb, args => [], options => [], expect => []}),
            check(Step),
            [Step]
    catch
        throw:What -> error({Name, Number, What})
    end.

%% Before `->' words are arguments and options, behind it groups parted by commas.
sort([{none, Mark, false} | Words], #{expect := Groups} = Step) when
    Mark =:= <<"->">>; Mark =:= <<",">>
->
    sort(Words, Step#{expect := Groups ++ [[]]});
sort([Word | Words], #{expect := [_ | _] = Groups} = Step) ->
    {Before, [Last]} = lists:split(length(Groups) - 1, Groups),
    sort(Words, Step#{expect := Before ++ [Last ++ [Word]]});
sort([{none, _, _} = Word | Words], #{args := Args} = Step) ->
    sort(Words, Step#{args := Args ++ [Word]});
sort([Word | Words], #{options := Options} = Step) ->
    sort(Words, Step#{options := Options ++ [Word]});
sort([], Step) ->
    Step.

%% Cuts a line at blanks; behind `->' a comma is a word of its own.
cut(<<$", Rest/binary>>, {Key, Value, _}, Words, #{quoted := Quoted} = Mode) ->
    cut(Rest, {Key, Value, true}, Words, Mode#{quoted := not Quoted});
cut(<<$\\, Rest/binary>>, {Key, Value, IsText}, Words, #{quoted := true} = Mode) ->
    {Byte, After} = escape(Rest),
    cut(After, {Key, <<Value/binary, Byte>>, IsText}, Words, Mode);
cut(<<Byte, Rest/binary>>, {Key, Value, IsText}, Words, #{quoted := true} = Mode) ->
    cut(Rest, {Key, <<Value/binary, Byte>>, IsText}, Words, Mode);
cut(<<>>, _Word, _Words, #{quoted := true}) ->
    throw(a_text_has_no_end);
cut(<<$#, _/binary>>, Word, Words, _Mode) ->
    lists:reverse(finish(Word, Words));
cut(<<>>, Word, Words, _Mode) ->
    lists:reverse(finish(Word, Words));
cut(<<Blank, Rest/binary>>, Word, Words, Mode) when Blank =:= $\s; Blank =:= $\t ->
    Expects = maps:get(expects, Mode) orelse Word =:= {none, <<"->">>, false},
    cut(Rest, {none, <<>>, false}, finish(Word, Words), Mode#{expects := Expects});
cut(<<$,, Rest/binary>>, Word, Words, #{expects := true} = Mode) ->
    cut(Rest, {none, <<>>, false}, [{none, <<",">>, false} | finish(Word, Words)], Mode);
cut(<<$=, Rest/binary>>, {none, Value, false}, Words, Mode) ->
    cut(Rest, {Value, <<>>, false}, Words, Mode);
cut(<<Byte, Rest/binary>>, {Key, Value, IsText}, Words, Mode) ->
    cut(Rest, {Key, <<Value/binary, Byte>>, IsText}, Words, Mode).

escape(<<$n, Rest/binary>>) -> {$\n, Rest};
escape(<<$", Rest/binary>>) -> {$", Rest};
escape(<<$\\, Rest/binary>>) -> {$\\, Rest};
escape(<<$x, Digits:2/binary, Rest/binary>>) ->
    try
        {binary_to_integer(Digits, 16), Rest}
    catch
        error:badarg -> throw(wrong_escape)
    end;
escape(_) -> throw(wrong_escape).

finish({none, <<>>, false}, Words) -> Words;
finish({Key, <<"bytes:", Count/binary>>, false}, Words) -> [long(Key, $x, Count) | Words];
finish({Key, <<"name:", Count/binary>>, false}, Words) -> [long(Key, $q, Count) | Words];
finish(Word, Words) -> [Word | Words].

long(Key, Letter, Count) ->
    try
        {Key, binary:copy(<<Letter>>, binary_to_integer(Count)), true}
    catch
        error:badarg -> throw({no_number, Count})
    end.

check(#{verb := Verb, args := Args, options := Options, expect := Expect}) ->
    {Least, Most, Keys} = shape(Verb),
    Count = length(Args),
    (Count >= Least andalso Count =< Most) orelse throw({arguments, Verb, Count}),
    [fits(Key, Keys) orelse throw({no_key, Verb, Key}) || {Key, _, _} <- Options],
    lists:member([], Expect) andalso throw(nothing_expected),
    ok.

fits(_Key, any) -> true;
fits(<<"header.", _/binary>>, Keys) -> lists:member(<<"header.">>, Keys);
fits(Key, Keys) -> lists:member(Key, Keys).

-define(ENQUEUE, [
    <<"copies">>, <<"on_short">>, <<"timeout">>, <<"header.">>, <<"priority">>, <<"delay">>, <<"at">>, <<"ttl">>,
    <<"max_attempts">>, <<"at_most_once">>, <<"if_no_group">>, <<"key">>, <<"dedup">>, <<"dedup_window">>
]).

shape(<<"open">>) -> {1, 1, any};
shape(<<"join">>) -> {2, 2, []};
shape(<<"members">>) -> {1, 1, []};
shape(<<"address">>) -> {1, 1, []};
shape(<<"event">>) -> {2, 2, []};
shape(<<"stats">>) -> {2, 2, []};
shape(<<"enqueue">>) -> {3, 3, ?ENQUEUE};
shape(<<"enqueue_many">>) -> {3, 99, ?ENQUEUE};
shape(<<"call">>) -> {3, 3, ?ENQUEUE};
shape(<<"reply">>) -> {3, 3, [<<"header.">>]};
shape(<<"replied">>) -> {1, 1, []};
shape(<<"receive">>) -> {2, 2, [<<"max">>, <<"wait">>, <<"lease">>, <<"group">>, <<"backlog">>]};
shape(<<"browse">>) ->
    {2, 2, [
        <<"max">>, <<"after">>, <<"group">>, <<"states">>, <<"header.">>, <<"body_bytes">>, <<"timeout">>, <<"cursor">>,
        <<"missing">>
    ]};
shape(<<"redrive">>) ->
    {2, 2, [<<"to">>, <<"max">>, <<"header.">>, <<"ids">>, <<"dry_run">>, <<"timeout">>, <<"missing">>]};
shape(<<"doctor">>) -> {2, 2, [<<"missing">>]};
shape(<<"explain">>) -> {2, 2, [<<"missing">>]};
shape(<<"ack">>) -> {2, 2, []};
shape(<<"ack_many">>) -> {2, 99, []};
shape(<<"nack">>) -> {2, 2, [<<"delay">>]};
shape(<<"release">>) -> {2, 2, []};
shape(<<"reject">>) -> {2, 2, [<<"reason">>]};
shape(<<"extend">>) -> {2, 2, [<<"lease">>]};
shape(<<"drop">>) -> {2, 2, []};
shape(<<"subscribe">>) ->
    {2, 2, [<<"credit">>, <<"credit_bytes">>, <<"lease">>, <<"max_run">>, <<"group">>, <<"backlog">>]};
shape(<<"next">>) -> {1, 1, [<<"wait">>]};
shape(<<"credit">>) -> {2, 2, []};
shape(<<"unsubscribe">>) -> {1, 1, []};
shape(<<"create_group">>) -> {3, 3, [<<"backlog">>]};
shape(<<"remove_group">>) -> {3, 3, []};
shape(<<"groups">>) -> {2, 2, []};
shape(<<"configure">>) -> {3, 3, []};
shape(<<"configuration">>) -> {2, 2, []};
shape(<<"pause">>) -> {3, 3, []};
shape(<<"resume">>) -> {2, 2, []};
shape(<<"purge">>) -> {2, 2, []};
shape(<<"set_policy">>) -> {3, 3, []};
shape(<<"remove_policy">>) -> {2, 2, []};
shape(<<"policies">>) -> {1, 1, []};
shape(<<"leave">>) -> {1, 1, [<<"drain">>, <<"force">>]};
shape(<<"close">>) -> {1, 1, []};
shape(<<"broadcast">>) -> {3, 3, []};
shape(<<"on">>) -> {2, 2, []};
shape(<<"heard">>) -> {1, 2, [<<"from">>]};
shape(<<"unlisten">>) -> {1, 1, []};
shape(<<"put">>) -> {3, 3, []};
shape(<<"get">>) -> {2, 2, []};
shape(<<"delete">>) -> {2, 2, []};
shape(<<"list">>) -> {2, 2, []};
shape(<<"watch">>) -> {2, 2, []};
shape(<<"changed">>) -> {1, 3, []};
shape(<<"evict">>) -> {2, 2, []};
shape(<<"reclaim">>) -> {1, 1, [<<"keep">>]};
shape(<<"rotate">>) -> {2, 2, []};
shape(Verb) -> throw({no_such_step, Verb}).
