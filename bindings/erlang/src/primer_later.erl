%% @private Answers that are not here yet, waited for in a `receive'.
-module(primer_later).

-export([answer/1, await/2]).

-type later() :: primer:handle().

%% @doc An answer as it is, or the late one that stands for it.
-spec answer({later, later()} | term()) -> term().
answer({later, Later}) -> await(Later);
answer(Answer) -> Answer.

%% Primer answers every ticket, also with 501, so this wait needs no limit of its own.
await(Later) ->
    Reference = make_ref(),
    case primer_nif:await_later(Later, Reference) of
        later ->
            receive
                {primer, Reference, Result} -> Result
            end;
        Result ->
            Result
    end.

%% @doc A late answer, `empty' when it did not come in time: then it is taken back.
-spec await(later(), timeout()) -> term().
await(Later, Wait) ->
    Reference = make_ref(),
    case primer_nif:await_later(Later, Reference) of
        later ->
            receive
                {primer, Reference, Result} -> Result
            after Wait ->
                case primer_nif:cancel_later(Later) of
                    true ->
                        empty;
                    false ->
                        receive
                            {primer, Reference, Result} -> Result
                        end
                end
            end;
        Result ->
            Result
    end.
