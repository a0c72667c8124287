#!/usr/bin/env escript
%% Two programs, one cluster. Without arguments: a member that enqueues texts and adds up their word
%% counts. With its address: another member, in a process of its own, that does the counting. Start
%% as many of those as you like, also in other languages; run.sh starts one of each.

-mode(compile).
-define(TEXTS, 300).

main([]) ->
    {ok, Member} = primer:open(#{cluster => words, name => boss}),
    {ok, Events} = primer:events(Member),
    io:format("~s~n", [primer:address(Member)]),
    receive {primer, Events, #{kind := joined}} -> ok end,

    {ok, Texts} = primer:queue(Member, <<"texts">>),
    {ok, Counts} = primer:queue(Member, <<"counts">>),
    Bodies = [lists:join(" ", lists:duplicate(N, "word")) || N <- lists:seq(1, ?TEXTS)],
    {ok, _} = primer:enqueue_many(Texts, Bodies, #{copies => 2}),
    {ok, Results} = primer:subscribe(Counts, #{credit => 64}),
    Words = add_up(Results, #{}),

    Expected = ?TEXTS * (?TEXTS + 1) div 2,
    io:format("workers: texts=~b words=~b expected=~b~n", [?TEXTS, Words, Expected]),
    ok = primer:close(Results),
    ok = primer:leave(Member),
    ok = primer:close(Member),
    halt(case Words of Expected -> 0; _ -> 1 end);
main([Address]) ->
    {ok, Member} = primer:open(#{cluster => words, name => worker, seeds => [Address]}),
    {ok, Events} = primer:events(Member),
    {ok, Texts} = primer:queue(Member, <<"texts">>),
    {ok, Counts} = primer:queue(Member, <<"counts">>),
    {ok, Subscription} = primer:subscribe(Texts, #{credit => 16}),
    {ok, Members} = primer:members(Member),
    [Boss] = [Id || #{name := <<"boss">>, id := Id} <- Members],
    count(Subscription, Counts, Events, Boss),
    ok = primer:close(Member).

%% A message may come twice (it is promised at least once), so results are kept by their text.
add_up(_Results, Seen) when map_size(Seen) =:= ?TEXTS ->
    lists:sum(maps:values(Seen));
add_up(Results, Seen) ->
    receive
        {primer, Results, #{body := Count, headers := [{<<"text">>, Text}]} = Message} ->
            ok = primer:ack(Message),
            add_up(Results, Seen#{Text => binary_to_integer(Count)})
    end.

%% Until the boss has left the cluster, or was not heard for three seconds.
count(Subscription, Counts, Events, Boss) ->
    receive
        {primer, Subscription, #{id := Id, body := Text} = Message} ->
            Count = length(string:lexemes(Text, " \n\t")),
            %% First the result, then the ack: a crash in between gives a duplicate, never a loss.
            {ok, _} = primer:enqueue(Counts, integer_to_binary(Count), #{headers => [{<<"text">>, Id}]}),
            ok = primer:ack(Message),
            count(Subscription, Counts, Events, Boss);
        {primer, Events, #{kind := Kind, member := Boss}} when Kind =:= left; Kind =:= unreachable ->
            ok;
        {primer, Events, _} ->
            count(Subscription, Counts, Events, Boss)
    end.
