#!/usr/bin/env escript
%%! +sbwt none
%% Counts words for the demo: escript worker.escript ADDRESS (README.md here says what a worker does).

-mode(compile).

main([Address]) ->
    {ok, Member} = primer:open(#{
        cluster => demo, seeds => [Address], copies => 2, on_short => fail,
        lease_ms => 4000, takeover_after_ms => 1000
    }),
    {ok, Jobs} = primer:queue(Member, <<"jobs">>),
    {ok, Counts} = primer:queue(Member, <<"counts">>),
    _ = io:get_line(""), % the word to begin
    spawn_link(fun() -> end_with_input(Member) end),
    work(Jobs, Counts, 0, 0).

end_with_input(Member) ->
    case io:get_line("") of
        eof ->
            ok = primer:close(Member),
            halt(0);
        _ ->
            end_with_input(Member)
    end.

work(Jobs, Counts, Done, Again) ->
    case primer:'receive'(Jobs, #{max => 8, wait => 1000}) of
        {ok, Batch} ->
            Repeated = length([Job || #{attempts := Attempts} = Job <- Batch, Attempts > 1]),
            work(Jobs, Counts, settle(Batch, Counts, Done, Again + Repeated), Again + Repeated);
        {error, {member_down, _, _}} ->
            timer:sleep(infinity)
    end.

settle([], _Counts, Done, _Again) ->
    Done;
settle([#{id := Id, body := Body, headers := Headers} = Job | Rest], Counts, Done, Again) ->
    {_, Path} = lists:keyfind(<<"path">>, 1, Headers),
    Count = integer_to_binary(words(Body, outside, 0)),
    enqueue(Counts, Count, [{<<"job">>, Id}, {<<"path">>, Path}, {<<"by">>, <<"Erlang">>}]),
    case primer:ack(Job) of
        ok -> ok;
        %% Another worker was faster after this lease ran out.
        {error, {too_late, _, _}} -> ok
    end,
    io:format("~b ~b ~b~n", [length(Rest), Done + 1, Again]),
    settle(Rest, Counts, Done + 1, Again).

%% Enqueues until two members have it.
enqueue(Counts, Count, Headers) ->
    case primer:enqueue(Counts, Count, #{headers => Headers}) of
        {ok, _} ->
            ok;
        {error, {Hundred, _, _} = Error} when Hundred =:= not_now; Hundred =:= in_doubt ->
            io:format(standard_error, "again: ~p~n", [Error]),
            enqueue(Counts, Count, Headers)
    end.

%% Runs of bytes other than ASCII white space.
words(<<Byte, Rest/binary>>, _, Count) when Byte =:= 32; Byte >= 9, Byte =< 13 ->
    words(Rest, outside, Count);
words(<<_, Rest/binary>>, outside, Count) ->
    words(Rest, inside, Count + 1);
words(<<_, Rest/binary>>, inside, Count) ->
    words(Rest, inside, Count);
words(<<>>, _, Count) ->
    Count.
